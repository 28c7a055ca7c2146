package cluster

import (
	"os"
	"path/filepath"
)

// Info is what a user of a testbed needs. With `--output json`, `up` prints it
// as one line when the cluster is ready.
type Info struct {
	PID        int    `json:"pid"`
	Dir        string `json:"dir"`
	Binary     string `json:"binary"`
	Kubeconfig string `json:"kubeconfig"` // system:masters, through the balancer
	Kubectl    string `json:"kubectl"`
	Server     string `json:"server"` // the balancer
	// Proxy is a second address of the API, which `testbed proxy freeze` stops.
	Proxy      string   `json:"proxy"`
	CAFile     string   `json:"caFile"`
	APIServers []string `json:"apiServers"`
	Etcd       EtcdInfo `json:"etcd"`

	AuditLog     string   `json:"auditLog"`
	AuditLogs    []string `json:"auditLogs"` // one per API server
	PowerLog     string   `json:"powerLog"`
	PowerCommand []string `json:"powerCommand"` // for the `command` driver

	ControlSocket string             `json:"controlSocket"`
	ControlPlanes []ControlPlaneInfo `json:"controlPlanes"`
	Nodes         []string           `json:"nodes"`
}

// EtcdInfo says how to reach the members: Endpoints with the client
// certificate, and Health for /health without a certificate.
type EtcdInfo struct {
	Endpoints []string `json:"endpoints"`
	Health    []string `json:"health"`
	CAFile    string   `json:"caFile"`
	CertFile  string   `json:"certFile"`
	KeyFile   string   `json:"keyFile"`
}

// ControlPlaneInfo is one API server with its etcd member. The process IDs
// change when the machine reboots.
type ControlPlaneInfo struct {
	Name         string `json:"name"`
	APIServer    string `json:"apiServer"`
	APIServerPID int    `json:"apiServerPID"`
	Etcd         string `json:"etcd"`
	EtcdHealth   string `json:"etcdHealth"`
	EtcdPID      int    `json:"etcdPID"`
	AuditLog     string `json:"auditLog"`
}

func (c *Cluster) Info() Info {
	info := Info{
		PID: os.Getpid(), Dir: c.dir, Binary: c.servers.binary,
		Kubeconfig: c.kubeconfig, Kubectl: c.path("kubectl"),
		Server: c.balancer.URL(), Proxy: c.proxy.URL(), CAFile: c.servers.certs.CAFile(),
		PowerLog: c.path("power.log"), PowerCommand: []string{powerProgram(c.servers.binary), "--socket", c.socket},
		ControlSocket: c.socket, Nodes: c.fleet.Names(),
		Etcd: EtcdInfo{
			CAFile: c.servers.certs.CAFile(), CertFile: c.servers.etcdClient.Cert, KeyFile: c.servers.etcdClient.Key,
		},
	}
	for _, cp := range c.controlPlanes {
		info.APIServers = append(info.APIServers, cp.APIURL())
		info.Etcd.Endpoints = append(info.Etcd.Endpoints, cp.EtcdURL())
		info.Etcd.Health = append(info.Etcd.Health, cp.MetricsURL())
		info.AuditLogs = append(info.AuditLogs, cp.auditLog)
		info.ControlPlanes = append(info.ControlPlanes, ControlPlaneInfo{
			Name: cp.Name, APIServer: cp.APIURL(), APIServerPID: cp.api.Status().PID,
			Etcd: cp.EtcdURL(), EtcdHealth: cp.MetricsURL(), EtcdPID: cp.etcd.Status().PID, AuditLog: cp.auditLog,
		})
	}
	info.AuditLog = info.AuditLogs[0]
	return info
}

// powerProgram is another program, in the same directory.
func powerProgram(binary string) string { return filepath.Join(filepath.Dir(binary), "power") }
