// Package cluster runs a real control plane on loopback as child processes, and
// connects simulated machines to it. It has the certificates, the ports, the
// processes, the balancer, and the control socket for the commands.
package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"junban.dev/testbed/internal/machines"
)

type Options struct {
	Dir           string
	Nodes         int
	ControlPlanes int
	RackSize      int
	Workload      string
	Faults        map[string]machines.Fault
	MonitorGrace  time.Duration
	StartTimeout  time.Duration
	Machines      machines.Options
}

type Cluster struct {
	options       Options
	dir           string
	socket        string
	kubeconfig    string
	servers       *serverFactory
	ports         *Ports
	controlPlanes []*ControlPlane
	kcm, sched    *Process
	balancer      *Balancer
	proxy         *Balancer
	admin         kubernetes.Interface // its own user, so that the audit log tells it from people
	fleet         *machines.Fleet
	end           context.CancelFunc
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// Up starts everything and returns when all nodes are Ready and the workload is
// applied. The caller must call Stop, also after an error: neither an error nor
// the end of ctx stops the processes.
func Up(ctx context.Context, end context.CancelFunc, options Options) (*Cluster, error) {
	c := &Cluster{options: options, dir: options.Dir, end: end}
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"prepare", c.prepare},
		{"start the control plane", c.startControlPlane},
		{"start controllers", c.startControllers},
		{"start machines", c.startMachines},
		{"open the control socket", func(ctx context.Context) error { return c.serveControl(ctx, c.socket) }},
		{"wait for nodes", c.waitForNodes},
		{"apply the workload", c.applyWorkload},
	}
	for _, step := range steps {
		if err := step.run(ctx); err != nil {
			return c, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	c.fleet.ApplyLateFaults(options.Faults)
	return c, c.waitForDead(ctx)
}

// waitForDead waits until the API shows every machine with the fault `dead` as
// not Ready, so that users of the cluster never see it Ready.
func (c *Cluster) waitForDead(ctx context.Context) error {
	for name, fault := range c.options.Faults {
		if fault.Kind != machines.Dead {
			continue
		}
		err := c.waitUntil(ctx, name+" to become not Ready", func() (bool, error) {
			node, err := c.admin.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			return err == nil && !isReady(node), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Stop kills all child processes and waits until they have ended.
func (c *Cluster) Stop() {
	for _, process := range c.processes() {
		process.Kill()
	}
}

func (c *Cluster) processes() []*Process {
	var all []*Process
	for _, cp := range c.controlPlanes {
		all = append(all, cp.api, cp.etcd)
	}
	for _, process := range []*Process{c.kcm, c.sched} {
		if process != nil {
			all = append(all, process)
		}
	}
	return all
}

func (c *Cluster) prepare(context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	if _, err := os.Stat(powerProgram(binary)); err != nil {
		return fmt.Errorf("%w\nhint: build both programs with `cargo xtask testbed`", err)
	}
	certs, err := NewAuthority(c.path("certs"))
	if err != nil {
		return err
	}
	if c.servers, err = newServerFactory(binary, c.dir, NewSpawner(), certs); err != nil {
		return err
	}
	if c.ports, err = TakePorts(); err != nil {
		return err
	}
	if c.socket, err = socketPath(c.dir); err != nil {
		return err
	}
	return c.writeKubectl()
}

func (c *Cluster) startControlPlane(ctx context.Context) error {
	balancerPort, proxyPort := c.ports.Take(), c.ports.Take()
	c.controlPlanes = c.servers.controlPlanes(c.options.ControlPlanes, c.ports)
	var backends []int
	for _, cp := range c.controlPlanes {
		backends = append(backends, cp.APIPort)
	}
	var err error
	if c.balancer, err = NewBalancer(balancerPort, backends...); err != nil {
		return err
	}
	if c.proxy, err = NewBalancer(proxyPort, balancerPort); err != nil {
		return err
	}
	c.kubeconfig = c.path("admin.kubeconfig")
	if err := UserKubeconfig(c.servers.certs, c.kubeconfig, c.balancer.URL(), "admin", "testbed-admin", "system:masters"); err != nil {
		return err
	}
	for _, cp := range c.controlPlanes {
		if err := cp.Start(); err != nil {
			return err
		}
	}
	client, err := c.healthClient()
	if err != nil {
		return err
	}
	go c.balancer.Serve(ctx)
	go c.proxy.Serve(ctx)
	c.balancer.Check(ctx, client)
	return c.waitUntil(ctx, "every API server to be ready", func() (bool, error) {
		for _, cp := range c.controlPlanes {
			if !readyz(ctx, client, cp.APIURL()) {
				return false, nil
			}
		}
		return true, nil
	})
}

// healthClient opens a new connection for each request: over an old connection
// it would not notice that a server was replaced.
func (c *Cluster) healthClient() (*http.Client, error) {
	ca, err := os.ReadFile(c.servers.certs.CAFile())
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true,
	}}, nil
}

func (c *Cluster) startControllers(context.Context) error {
	kubeconfigs := map[string]string{}
	for _, user := range []string{"kube-controller-manager", "kube-scheduler"} {
		kubeconfigs[user] = c.path(user + ".kubeconfig")
		if err := UserKubeconfig(c.servers.certs, kubeconfigs[user], c.balancer.URL(), user, "system:"+user); err != nil {
			return err
		}
	}
	c.kcm = c.servers.controllerManager(kubeconfigs["kube-controller-manager"], c.ports.Take(), c.options.MonitorGrace)
	if err := c.kcm.Start(); err != nil {
		return err
	}
	if err := c.servers.writeSchedulerConfig(kubeconfigs["kube-scheduler"]); err != nil {
		return err
	}
	c.sched = c.servers.scheduler(c.ports.Take())
	return c.sched.Start()
}

func (c *Cluster) startMachines(ctx context.Context) error {
	var err error
	if c.admin, err = c.client("fleet", "testbed-fleet", "system:masters"); err != nil {
		return err
	}
	options := c.options.Machines
	options.PowerLog = c.path("power.log")
	if c.fleet, err = machines.NewFleet(ctx, c.admin, options); err != nil {
		return err
	}
	if c.options.ControlPlanes > 1 {
		for i, cp := range c.controlPlanes {
			hooks := machines.Hooks{Stop: cp.Stop, Start: cp.Start}
			if err := c.addMachine(cp.Name, fmt.Sprintf("rack-%d", i+1), true, hooks); err != nil {
				return err
			}
		}
	}
	for i := range c.options.Nodes {
		rack := fmt.Sprintf("rack-%d", i/c.options.RackSize+1)
		if err := c.addMachine(fmt.Sprintf("node-%d", i+1), rack, false, machines.Hooks{}); err != nil {
			return err
		}
	}
	return c.fleet.PowerOn(c.options.Faults)
}

func (c *Cluster) addMachine(name, rack string, controlPlane bool, hooks machines.Hooks) error {
	client, err := c.client(name, "system:node:"+name, "system:nodes")
	if err != nil {
		return err
	}
	c.fleet.Add(name, rack, client, controlPlane, hooks)
	return nil
}

// client returns a client with its own certificate and connections. It has no
// rate limit of its own; only the API server limits it.
func (c *Cluster) client(file, user, group string) (*kubernetes.Clientset, error) {
	pair, err := c.servers.certs.Client(file, user, group)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(&rest.Config{
		Host:            c.balancer.URL(),
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.servers.certs.CAFile(), CertFile: pair.Cert, KeyFile: pair.Key},
		QPS:             -1, UserAgent: "testbed/" + file, Timeout: 0,
	})
}

func (c *Cluster) waitForNodes(ctx context.Context) error {
	want := len(c.fleet.Names())
	err := c.waitUntil(ctx, "every node to be Ready", func() (bool, error) {
		nodes, err := c.admin.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err
		}
		ready := 0
		for _, node := range nodes.Items {
			if isReady(&node) && len(node.Spec.Taints) <= boolToInt(node.Labels["role"] == "control-plane") {
				ready++
			}
		}
		return ready == want, nil
	})
	if err != nil {
		return err
	}
	// Nobody can create pods before the controller manager has made this object.
	return c.waitUntil(ctx, "the default ServiceAccount", func() (bool, error) {
		_, err := c.admin.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err == nil, err
	})
}

func (c *Cluster) applyWorkload(ctx context.Context) error {
	if c.options.Workload == "" {
		return nil
	}
	var output []byte
	err := c.waitUntil(ctx, "the workload to be accepted", func() (bool, error) {
		var err error
		output, err = exec.CommandContext(ctx, c.path("kubectl"), "apply", "--server-side", "-f", c.options.Workload).CombinedOutput()
		return err == nil, err
	})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output)
	}
	return nil
}

// waitUntil checks the condition until it holds. If it gives up, its error
// includes the error of the last check.
func (c *Cluster) waitUntil(ctx context.Context, what string, holds func() (bool, error)) error {
	deadline := time.Now().Add(c.options.StartTimeout)
	for {
		ok, err := holds()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("waited %s for %s and gave up; the logs are in %s", c.options.StartTimeout, what, c.path("logs")), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// writeKubectl writes a kubectl that always uses this testbed, whatever
// KUBECONFIG says, so that it can never change a real cluster.
func (c *Cluster) writeKubectl() error {
	script := fmt.Sprintf("#!/bin/sh\nKUBECONFIG='%s' exec '%s' kubectl \"$@\"\n", c.path("admin.kubeconfig"), c.servers.binary)
	return os.WriteFile(c.path("kubectl"), []byte(script), 0o700)
}

// socketPath is in dir, unless the path is too long for a unix socket.
func socketPath(dir string) (string, error) {
	if path := filepath.Join(dir, "control.sock"); len(path) < 100 {
		return path, nil
	}
	short, err := os.MkdirTemp("", "junban-testbed-")
	return filepath.Join(short, "control.sock"), err
}

func isReady(node *v1.Node) bool {
	for _, condition := range node.Status.Conditions {
		if condition.Type == v1.NodeReady {
			return condition.Status == v1.ConditionTrue
		}
	}
	return false
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
