package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	authentication "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"

	"junban.dev/testbed/internal/cluster"
	"junban.dev/testbed/internal/machines"
	"junban.dev/testbed/internal/wire"
)

// infoFile holds the JSON line of `up`.
const infoFile = "testbed.json"

var errNotUp = errors.New("no testbed is running in this directory\nhint: start one with `testbed up`, or name its directory with --dir")

func readInfo(dir string) (cluster.Info, error) {
	var info cluster.Info
	raw, err := os.ReadFile(filepath.Join(dir, infoFile))
	if err != nil {
		return info, errNotUp
	}
	return info, json.Unmarshal(raw, &info)
}

// flagsWithDir are the flags of every command that talks to a running testbed.
func flagsWithDir(name string) (*flag.FlagSet, *string, *string) {
	set := flag.NewFlagSet(name, flag.ExitOnError)
	return set, set.String("dir", defaultDir(), "the testbed's directory"), set.String("output", "text", "text or json")
}

func runStatus(args []string) error {
	set, dir, output := flagsWithDir("status")
	if err := set.Parse(args); err != nil {
		return err
	}
	info, err := readInfo(*dir)
	if err != nil {
		return err
	}
	var report cluster.StatusReport
	if err := wire.Call(info.ControlSocket, "GET", "/status", nil, &report); err != nil {
		return fmt.Errorf("%w (%v)", errNotUp, err)
	}
	if *output == "json" {
		return json.NewEncoder(os.Stdout).Encode(report)
	}
	describe(os.Stdout, report.Info)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nPROCESS\tPID\tRESTARTS")
	for _, p := range report.Processes {
		fmt.Fprintf(w, "%s\t%d\t%d\n", p.Name, p.PID, p.Restarts)
	}
	fmt.Fprintln(w, "\nMACHINE\tSTATE\tBOOTS\tBOOT ID\tFAULT")
	for _, m := range report.Machines {
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", m.Name, m.State, m.Boots, m.BootID, m.Fault)
	}
	return w.Flush()
}

// runDown waits until the supervisor has ended, and so all its children.
func runDown(args []string) error {
	set, dir, _ := flagsWithDir("down")
	if err := set.Parse(args); err != nil {
		return err
	}
	info, err := readInfo(*dir)
	if err != nil {
		return err
	}
	var answer string
	if err := wire.Call(info.ControlSocket, "POST", "/down", nil, &answer); err != nil {
		return fmt.Errorf("%w (%v)", errNotUp, err)
	}
	for range 300 {
		if syscall.Kill(info.PID, 0) != nil {
			fmt.Println("The testbed has ended. Its logs are in", info.Dir)
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return fmt.Errorf("the supervisor (process %d) has not ended after 30 s", info.PID)
}

func runMachine(args []string) error {
	set, dir, _ := flagsWithDir("machine")
	if err := set.Parse(args); err != nil {
		return err
	}
	if set.NArg() != 2 {
		return errors.New("usage: testbed machine [--dir DIR] NODE FAULT|heal|reboot|register|status|next-boot-RESOURCE=QUANTITY|next-boot-taint=KEY=VALUE:EFFECT")
	}
	info, err := readInfo(*dir)
	if err != nil {
		return err
	}
	var status machines.Status
	if err := wire.Call(info.ControlSocket, "POST", "/machines/"+set.Arg(0)+"/"+url.PathEscape(set.Arg(1)), nil, &status); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(status)
}

func runProxy(args []string) error {
	set, dir, _ := flagsWithDir("proxy")
	if err := set.Parse(args); err != nil {
		return err
	}
	info, err := readInfo(*dir)
	if err != nil {
		return err
	}
	var answer string
	return wire.Call(info.ControlSocket, "POST", "/proxy/"+set.Arg(0), nil, &answer)
}

// runKubeconfig prints credentials: a client certificate for users and nodes, a
// token for service accounts.
func runKubeconfig(args []string) error {
	set, dir, _ := flagsWithDir("kubeconfig")
	user := set.String("user", "", "user name")
	groups := set.String("groups", "", "comma-separated groups")
	node := set.String("node", "", "a node, for its kubelet's credentials")
	account := set.String("service-account", "", "NAMESPACE/NAME, for a token that is valid for --token-seconds")
	life := set.Int64("token-seconds", 86400, "how long the token is valid, in seconds")
	throughProxy := set.Bool("proxy", false, "use the proxy, which `testbed proxy freeze` stops")
	if err := set.Parse(args); err != nil {
		return err
	}
	info, err := readInfo(*dir)
	if err != nil {
		return err
	}
	server := info.Server
	if *throughProxy {
		server = info.Proxy
	}
	made, err := os.CreateTemp(info.Dir, "kubeconfig-")
	if err != nil {
		return err
	}
	made.Close()
	defer os.Remove(made.Name())
	switch {
	case *account != "":
		err = accountKubeconfig(info, made.Name(), server, *account, *life)
	case *node != "":
		err = certKubeconfig(info, made.Name(), server, "system:node:"+*node, "system:nodes")
	case *user != "":
		err = certKubeconfig(info, made.Name(), server, *user, strings.FieldsFunc(*groups, func(r rune) bool { return r == ',' })...)
	default:
		err = errors.New("give one of --user, --node and --service-account")
	}
	if err != nil {
		return err
	}
	text, err := os.ReadFile(made.Name())
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

func certKubeconfig(info cluster.Info, path, server, user string, groups ...string) error {
	authority, err := cluster.LoadAuthority(filepath.Dir(info.CAFile))
	if err != nil {
		return err
	}
	return cluster.UserKubeconfig(authority, path, server, "minted-"+filepath.Base(path), user, groups...)
}

func accountKubeconfig(info cluster.Info, path, server, account string, life int64) error {
	namespace, name, found := strings.Cut(account, "/")
	if !found {
		return fmt.Errorf("--service-account %q is not NAMESPACE/NAME", account)
	}
	config, err := clientcmd.BuildConfigFromFlags("", info.Kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	request := &authentication.TokenRequest{Spec: authentication.TokenRequestSpec{ExpirationSeconds: ptr.To(life)}}
	token, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(context.Background(), name, request, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	return cluster.TokenKubeconfig(path, server, info.CAFile, account, token.Status.Token)
}
