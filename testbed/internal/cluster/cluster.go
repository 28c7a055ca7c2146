// Package cluster runs a real control plane on loopback as child processes,
// with simulated machines beside it: certificates, ports, processes, the
// balancer, and the socket by which commands reach a running testbed.
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

// Options of `testbed up`.
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

// Cluster is a running testbed.
type Cluster struct {
	options       Options
	dir           string
	socket        string
	kubeconfig    string
	plane         *plane
	ports         *Ports
	controlPlanes []*ControlPlane
	kcm, sched    *Process
	balancer      *Balancer
	proxy         *Balancer
	admin         kubernetes.Interface // the testbed's own, apart from the user's in the audit log
	fleet         *machines.Fleet
	end           context.CancelFunc
}

func (c *Cluster) path(name string) string { return filepath.Join(c.dir, name) }

// Up brings everything up and returns when all nodes are Ready and the
// workload is applied. Cancelling ctx, or an error here, does not stop the
// processes: that is Stop's work.
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

// waitForDead: a machine that is to be dead from the beginning must look dead
// before anybody uses the cluster.
func (c *Cluster) waitForDead(ctx context.Context) error {
	for name, fault := range c.options.Faults {
		if fault.Kind != machines.Dead {
			continue
		}
		err := c.waitUntil(ctx, name+" to be seen as not Ready", func() (bool, error) {
			node, err := c.admin.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
			return err == nil && !isReady(node), err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Stop kills every child and waits for its end.
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
		return fmt.Errorf("%w\nhint: `cargo xtask testbed` builds both programs", err)
	}
	certs, err := NewAuthority(c.path("certs"))
	if err != nil {
		return err
	}
	if c.plane, err = newPlane(binary, c.dir, NewSpawner(), certs); err != nil {
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
	c.controlPlanes = c.plane.controlPlanes(c.options.ControlPlanes, c.ports)
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
	if err := UserKubeconfig(c.plane.certs, c.kubeconfig, c.balancer.URL(), "admin", "testbed-admin", "system:masters"); err != nil {
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

// healthClient opens a connection per question: a kept one would hide that a
// server was replaced.
func (c *Cluster) healthClient() (*http.Client, error) {
	ca, err := os.ReadFile(c.plane.certs.CAFile())
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
		if err := UserKubeconfig(c.plane.certs, kubeconfigs[user], c.balancer.URL(), user, "system:"+user); err != nil {
			return err
		}
	}
	c.kcm = c.plane.controllerManager(kubeconfigs["kube-controller-manager"], c.ports.Take(), c.options.MonitorGrace)
	if err := c.kcm.Start(); err != nil {
		return err
	}
	if err := c.plane.writeSchedulerConfig(kubeconfigs["kube-scheduler"]); err != nil {
		return err
	}
	c.sched = c.plane.scheduler(c.ports.Take())
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

// client has a certificate and connections of its own, and no client-side
// limit: the API server's own fairness is the only one.
func (c *Cluster) client(file, user, group string) (*kubernetes.Clientset, error) {
	pair, err := c.plane.certs.Client(file, user, group)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(&rest.Config{
		Host:            c.balancer.URL(),
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.plane.certs.CAFile(), CertFile: pair.Cert, KeyFile: pair.Key},
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
	// Pods cannot be created before the controller manager has made this.
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

// waitUntil asks again until the condition holds; the error of the last try
// is in the error at the end.
func (c *Cluster) waitUntil(ctx context.Context, what string, holds func() (bool, error)) error {
	deadline := time.Now().Add(c.options.StartTimeout)
	for {
		ok, err := holds()
		if ok {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.Join(fmt.Errorf("gave up after %s waiting for %s; logs are in %s", c.options.StartTimeout, what, c.path("logs")), err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// writeKubectl makes a kubectl that always talks to this testbed, whatever
// KUBECONFIG says: nobody's real cluster is ever reached by it.
func (c *Cluster) writeKubectl() error {
	script := fmt.Sprintf("#!/bin/sh\nKUBECONFIG='%s' exec '%s' kubectl \"$@\"\n", c.path("admin.kubeconfig"), c.plane.binary)
	return os.WriteFile(c.path("kubectl"), []byte(script), 0o700)
}

// socketPath is in dir unless that is too long for a unix socket's address.
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
