// The testbed is a real Kubernetes control plane on loopback with simulated
// machines. One binary holds the servers that it starts as children,
// kubectl, and the commands of a person.
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
  status       what runs, and how each machine is
  down         end it; nothing is left running
  machine      NODE FAULT|heal|reboot|register|status
  proxy        freeze|thaw: swallow all bytes on the second way in
  kubeconfig   credentials for a user, a node or a service account
  check        bring up three nodes and prove what the testbed promises
  kubectl, etcd, kube-apiserver, kube-controller-manager, kube-scheduler
`

func main() {
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	command, args := os.Args[1], os.Args[2:]
	// The servers and kubectl read os.Args and keep global state; each runs as
	// a process of its own.
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
		fmt.Fprintf(os.Stderr, "testbed: no command %q\n%s", command, usage)
		os.Exit(2)
	}
	if err := run(args); err != nil {
		fmt.Fprintf(os.Stderr, "testbed %s: %v\n", command, err)
		os.Exit(1)
	}
}
