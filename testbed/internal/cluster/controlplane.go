package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// ControlPlane is an API server and the etcd member that it uses, as kubeadm
// puts them on one machine.
type ControlPlane struct {
	Name     string
	APIPort  int
	etcdPort int
	peerPort int
	healthz  int
	etcd     *Process
	api      *Process
	auditLog string
}

func (c *ControlPlane) APIURL() string     { return fmt.Sprintf("https://127.0.0.1:%d", c.APIPort) }
func (c *ControlPlane) EtcdURL() string    { return fmt.Sprintf("https://127.0.0.1:%d", c.etcdPort) }
func (c *ControlPlane) MetricsURL() string { return fmt.Sprintf("http://127.0.0.1:%d", c.healthz) }
func (c *ControlPlane) peerURL() string    { return fmt.Sprintf("https://127.0.0.1:%d", c.peerPort) }

// Start starts both servers. It does not wait until they are ready.
func (c *ControlPlane) Start() error {
	if err := c.etcd.Start(); err != nil {
		return err
	}
	return c.api.Start()
}

// Stop kills both servers at once, like a power loss.
func (c *ControlPlane) Stop() {
	c.api.Kill()
	c.etcd.Kill()
}

// serverFactory makes the server processes from files that they share.
type serverFactory struct {
	binary  string
	dir     string
	certs   *Authority
	spawner *Spawner

	serving, etcdClient, kubeletClient KeyPair
	serviceAccounts                    KeyPair
	auditPolicy                        string
}

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

func newServerFactory(binary, dir string, spawner *Spawner, certs *Authority) (*serverFactory, error) {
	p := &serverFactory{binary: binary, dir: dir, certs: certs, spawner: spawner}
	var err error
	issue := func(pair KeyPair, e error) KeyPair {
		if err == nil {
			err = e
		}
		return pair
	}
	p.serving = issue(certs.Serving("server"))
	p.etcdClient = issue(certs.Client("etcd-client", "etcd-client"))
	p.kubeletClient = issue(certs.Client("kubelet-client", "kube-apiserver-kubelet-client", "system:masters"))
	p.serviceAccounts = issue(certs.Client("service-accounts", "service-accounts"))
	if err != nil {
		return nil, err
	}
	p.auditPolicy = filepath.Join(dir, "audit-policy.yaml")
	for _, sub := range []string{"logs", "etcd"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	return p, os.WriteFile(p.auditPolicy, []byte(auditPolicy), 0o600)
}

func (p *serverFactory) process(name string, ports []int, args ...string) *Process {
	return &Process{
		Name:    name,
		Args:    append([]string{p.binary}, args...),
		LogFile: filepath.Join(p.dir, "logs", name+".log"),
		Ports:   ports,
		spawner: p.spawner,
	}
}

// controlPlanes makes n control planes whose etcd members form one cluster.
func (p *serverFactory) controlPlanes(n int, ports *Ports) []*ControlPlane {
	var all []*ControlPlane
	var members []string
	for i := 1; i <= n; i++ {
		c := &ControlPlane{
			Name: fmt.Sprintf("cp-%d", i), APIPort: ports.Take(),
			etcdPort: ports.Take(), peerPort: ports.Take(), healthz: ports.Take(),
		}
		members = append(members, c.Name+"="+c.peerURL())
		all = append(all, c)
	}
	for _, c := range all {
		c.etcd = p.etcdMember(c, strings.Join(members, ","))
		c.auditLog = filepath.Join(p.dir, "logs", "audit-"+c.Name+".log")
		c.api = p.apiServer(c)
	}
	return all
}

func (p *serverFactory) etcdMember(c *ControlPlane, members string) *Process {
	ca := p.certs.CAFile()
	return p.process("etcd-"+c.Name, []int{c.etcdPort, c.peerPort, c.healthz}, "etcd",
		"--name="+c.Name,
		"--data-dir="+filepath.Join(p.dir, "etcd", c.Name),
		"--listen-client-urls="+c.EtcdURL(), "--advertise-client-urls="+c.EtcdURL(),
		"--listen-peer-urls="+c.peerURL(), "--initial-advertise-peer-urls="+c.peerURL(),
		"--initial-cluster="+members,
		"--listen-metrics-urls="+c.MetricsURL(),
		"--cert-file="+p.serving.Cert, "--key-file="+p.serving.Key,
		"--client-cert-auth", "--trusted-ca-file="+ca,
		"--peer-cert-file="+p.serving.Cert, "--peer-key-file="+p.serving.Key,
		"--peer-client-cert-auth", "--peer-trusted-ca-file="+ca,
		// The data is not needed after the testbed: do not wait for the disk.
		"--unsafe-no-fsync", "--log-level=warn",
	)
}

func (p *serverFactory) apiServer(c *ControlPlane) *Process {
	ca := p.certs.CAFile()
	return p.process("kube-apiserver-"+c.Name, []int{c.APIPort}, "kube-apiserver",
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", c.APIPort),
		"--tls-cert-file="+p.serving.Cert, "--tls-private-key-file="+p.serving.Key,
		"--client-ca-file="+ca,
		"--etcd-servers="+c.EtcdURL(), "--etcd-cafile="+ca,
		"--etcd-certfile="+p.etcdClient.Cert, "--etcd-keyfile="+p.etcdClient.Key,
		"--kubelet-client-certificate="+p.kubeletClient.Cert, "--kubelet-client-key="+p.kubeletClient.Key,
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file="+p.serviceAccounts.Key,
		"--service-account-key-file="+p.serviceAccounts.Cert,
		"--service-cluster-ip-range=10.96.0.0/16",
		// Endpoints refuse loopback addresses, so do not try to write
		// default/kubernetes.
		"--endpoint-reconciler-type=none",
		"--audit-policy-file="+p.auditPolicy, "--audit-log-path="+c.auditLog, "--audit-log-maxsize=100000",
		// A reboot of a control plane is a power loss: it drains no connections.
		"--shutdown-delay-duration=0s",
	)
}

// controllerManager and scheduler run once and on no machine. The testbed shows
// how Junban reboots API servers and etcd members in turns; a leader election
// of these two would only delay every run.
func (p *serverFactory) controllerManager(kubeconfig string, port int, grace time.Duration) *Process {
	return p.process("kube-controller-manager", []int{port}, "kube-controller-manager",
		"--kubeconfig="+kubeconfig, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir="+filepath.Join(p.dir, "certs", "kcm"),
		"--service-account-private-key-file="+p.serviceAccounts.Key, "--root-ca-file="+p.certs.CAFile(),
		"--use-service-account-credentials", "--leader-elect=false",
		"--node-monitor-grace-period="+grace.String(), "--node-monitor-period=1s",
		"--kube-api-qps=300", "--kube-api-burst=600",
	)
}

func (p *serverFactory) scheduler(port int) *Process {
	config := filepath.Join(p.dir, "scheduler.yaml")
	return p.process("kube-scheduler", []int{port}, "kube-scheduler",
		"--config="+config, "--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--cert-dir="+filepath.Join(p.dir, "certs", "scheduler"),
	)
}

// writeSchedulerConfig writes a configuration file, because the flags for the
// scheduler's client limits are deprecated.
func (p *serverFactory) writeSchedulerConfig(kubeconfig string) error {
	text := fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection: {kubeconfig: %q, qps: 300, burst: 600}
leaderElection: {leaderElect: false}
`, kubeconfig)
	return os.WriteFile(filepath.Join(p.dir, "scheduler.yaml"), []byte(text), 0o600)
}
