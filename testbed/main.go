// The testbed is a real Kubernetes control plane on loopback, with simulated
// machines. This one binary contains the commands, kubectl, and the servers,
// which it starts as child processes.
package main

import (
	"fmt"
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	kcm "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
)

const usage = `usage: testbed COMMAND [flags]
  up           start a cluster; --help lists the flags
  status       show the processes and the machines
  down         end the cluster and wait until every process has ended
  machine      NODE FAULT|heal|reboot|register|status
  proxy        freeze|thaw: the proxy drops all bytes, or passes them on again
  kubeconfig   print credentials for a user, a node or a service account
  check        test the testbed itself on two clusters of three nodes
  kubectl, etcd, kube-apiserver, kube-controller-manager, kube-scheduler
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	command, args := os.Args[1], os.Args[2:]
	// Each server and kubectl run in a process of their own, because they read
	// os.Args and keep global state.
	os.Args = append([]string{command}, args...)
	switch command {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(kcm.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubectl":
		os.Exit(cli.Run(kubectl.NewDefaultKubectlCommand()))
	}
	commands := map[string]func([]string) error{
		"up": runUp, "status": runStatus, "down": runDown, "machine": runMachine,
		"proxy": runProxy, "kubeconfig": runKubeconfig, "check": runCheck,
	}
	run, known := commands[command]
	if !known {
		fmt.Fprintf(os.Stderr, "testbed: the command %q does not exist\n%s", command, usage)
		os.Exit(2)
	}
	if err := run(args); err != nil {
		fmt.Fprintf(os.Stderr, "testbed %s: %v\n", command, err)
		os.Exit(1)
	}
}
