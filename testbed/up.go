package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"junban.dev/testbed/internal/cluster"
	"junban.dev/testbed/internal/machines"
)

type upFlags struct {
	options    cluster.Options
	foreground bool
	detached   bool
	parent     int
	output     string
}

func parseUp(args []string) (upFlags, error) {
	var f upFlags
	f.options.Faults = map[string]machines.Fault{}
	boot := "5..10"
	var grace, lease, start float64
	set := flag.NewFlagSet("up", flag.ExitOnError)
	set.IntVar(&f.options.Nodes, "nodes", 3, "workers: node-1 .. node-N")
	set.IntVar(&f.options.ControlPlanes, "control-planes", 1, "1 (not a Node) or 3 (cp-1 .. cp-3, each a Node)")
	set.IntVar(&f.options.RackSize, "rack-size", 4, "workers per rack (topology.kubernetes.io/zone=rack-K)")
	set.StringVar(&f.options.Workload, "workload", "", "Kubernetes YAML, applied when the nodes are Ready")
	set.StringVar(&boot, "boot-seconds", boot, "range of the boot times, A..B")
	set.Uint64Var(&f.options.Machines.Seed, "seed", 1, "seed of boot times, bootIDs and delays")
	set.StringVar(&f.options.Dir, "dir", "", "directory for state, logs and kubeconfig (default: one per user; with --foreground one per run, removed at the end)")
	set.Float64Var(&grace, "monitor-grace-seconds", 0, "the node controller sets a node to Unknown after this time without a Lease (default 8; 20 with three control planes)")
	set.Float64Var(&lease, "lease-seconds", 2, "how often a node renews its Lease")
	set.Float64Var(&start, "start-timeout-seconds", 120, "limit for each step of the start")
	set.BoolVar(&f.options.Machines.MirrorPods, "mirror-pods", false, "a static pod on every worker")
	f.options.Machines.Capacity = v1.ResourceList{v1.ResourceEphemeralStorage: resource.MustParse("200Gi")}
	quantity := func(name v1.ResourceName, flag, value string) {
		f.options.Machines.Capacity[name] = resource.MustParse(value)
		set.Func(flag, "capacity of each machine (default "+value+")", func(text string) (err error) {
			f.options.Machines.Capacity[name], err = resource.ParseQuantity(text)
			return err
		})
	}
	quantity(v1.ResourceCPU, "node-cpu", "16")
	quantity(v1.ResourceMemory, "node-memory", "64Gi")
	quantity(v1.ResourcePods, "node-pods", "110")
	set.Func("fault", "NODE=FAULT, may be repeated", func(text string) error {
		node, name, found := strings.Cut(text, "=")
		if !found {
			return fmt.Errorf("%q is not NODE=FAULT", text)
		}
		fault, err := machines.ParseFault(name)
		f.options.Faults[node] = fault
		return err
	})
	set.BoolVar(&f.foreground, "foreground", false, "keep running in the foreground, and end with the parent process")
	set.BoolVar(&f.detached, "detached", false, "internal: no longer end with the parent once the cluster is up")
	set.IntVar(&f.parent, "parent", os.Getppid(), "with --foreground: the parent process (default: the process that starts it)")
	set.StringVar(&f.output, "output", "text", "text or json (one line)")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if set.NArg() > 0 {
		return f, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}
	f.options.MonitorGrace = monitorGrace(grace, f.options.ControlPlanes)
	f.options.StartTimeout = seconds(start)
	f.options.Machines.LeaseEvery = seconds(lease)
	return f, errors.Join(parseBoot(boot, &f.options.Machines), validate(&f))
}

// monitorGrace: with three control planes the grace period must be longer than
// an etcd election and than the time until every client has found another API
// server. Else each reboot of a control plane makes all nodes Unknown, which
// does not happen with the 50 s of a real cluster.
func monitorGrace(given float64, controlPlanes int) time.Duration {
	switch {
	case given > 0:
		return seconds(given)
	case controlPlanes > 1:
		return 20 * time.Second
	default:
		return 8 * time.Second
	}
}

func parseBoot(text string, options *machines.Options) error {
	low, high, found := strings.Cut(text, "..")
	if !found {
		high = low
	}
	a, errA := strconv.ParseFloat(low, 64)
	b, errB := strconv.ParseFloat(high, 64)
	if errA != nil || errB != nil || a < 0 || b < a {
		return fmt.Errorf("--boot-seconds %q: want A..B with 0 <= A <= B", text)
	}
	options.BootMin, options.BootMax = seconds(a), seconds(b)
	return nil
}

func validate(f *upFlags) error {
	var errs []error
	if f.options.ControlPlanes != 1 && f.options.ControlPlanes != 3 {
		errs = append(errs, fmt.Errorf("--control-planes %d: want 1 or 3", f.options.ControlPlanes))
	}
	if f.options.Nodes < 0 || f.options.RackSize < 1 {
		errs = append(errs, errors.New("--nodes must be at least 0 and --rack-size at least 1"))
	}
	if f.output != "text" && f.output != "json" {
		errs = append(errs, fmt.Errorf("--output %q: want text or json", f.output))
	}
	if f.options.Workload != "" {
		absolute, err := filepath.Abs(f.options.Workload)
		if err == nil {
			_, err = os.Stat(absolute)
		}
		f.options.Workload = absolute
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

func runUp(args []string) error {
	f, err := parseUp(args)
	if err != nil {
		return err
	}
	if f.foreground {
		return foreground(f)
	}
	return background(f, args)
}

// foreground starts the cluster, prints how to reach it, and runs until a
// signal, `down`, or the end of its parent.
func foreground(f upFlags) error {
	if os.Getppid() != f.parent {
		return errors.New("the parent process has ended")
	}
	temporary := f.options.Dir == ""
	lock, err := claimDir(&f.options.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	ctx, end := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer end()
	watched, unwatch := context.WithCancel(ctx)
	defer unwatch()
	go watchParent(watched, end, f.parent)
	c, err := cluster.Up(ctx, end, f.options)
	defer c.Stop()
	if err != nil {
		return err // the logs stay
	}
	if temporary {
		defer os.RemoveAll(f.options.Dir)
	}
	if f.detached {
		unwatch() // until here the testbed ends if `up` is interrupted
	}
	if err := printInfo(c.Info(), f.output); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}

// watchParent ends the testbed when its parent process has ended. It polls,
// because the kernel sends its death signal already when the *thread* that
// started this process ends. --parent names the parent: if the parent ends
// before this process has asked for it, another process is the parent by then.
func watchParent(ctx context.Context, end context.CancelFunc, parent int) {
	for range time.Tick(100 * time.Millisecond) {
		if ctx.Err() != nil {
			return
		}
		if os.Getppid() != parent {
			end()
			return
		}
	}
}

// background starts a supervisor that keeps running after this process, and
// waits until the cluster is up.
func background(f upFlags, args []string) error {
	if f.options.Dir == "" {
		f.options.Dir = defaultDir()
	}
	lock, err := claimDir(&f.options.Dir)
	if err != nil {
		return err
	}
	lock.Close() // the supervisor locks it again
	log, err := os.Create(filepath.Join(f.options.Dir, supervisorLog))
	if err != nil {
		return err
	}
	defer log.Close()
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(binary, append(append([]string{"up"}, args...),
		"--foreground", "--detached", "--parent", strconv.Itoa(os.Getpid()), "--output", "json", "--dir", f.options.Dir)...)
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		_ = cmd.Wait()
		text, _ := os.ReadFile(log.Name())
		return fmt.Errorf("the cluster did not come up:\n%s", tail(string(text), 20))
	}
	var info cluster.Info
	if err := json.Unmarshal(line, &info); err != nil {
		return err
	}
	return printInfo(info, f.output)
}

func printInfo(info cluster.Info, output string) error {
	// The other commands find the control socket through this file.
	line, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(info.Dir, infoFile), line, 0o600); err != nil {
		return err
	}
	if output == "json" {
		fmt.Println(string(line))
		return nil
	}
	describe(os.Stdout, info)
	return nil
}

func describe(w io.Writer, info cluster.Info) {
	fmt.Fprintf(w, "The cluster is up, with %d nodes.\n\n", len(info.Nodes))
	rows := [][2]string{
		{"kubeconfig", info.Kubeconfig},
		{"kubectl", info.Kubectl},
		{"API servers", strings.Join(info.APIServers, " ") + " behind " + info.Server},
		{"etcd /health", strings.Join(info.Etcd.Health, " ")},
		{"audit log", strings.Join(info.AuditLogs, " ")},
		{"power log", info.PowerLog},
		{"power command", strings.Join(info.PowerCommand, " ")},
		{"other logs", filepath.Join(info.Dir, "logs")},
	}
	for _, row := range rows {
		fmt.Fprintf(w, "  %-14s %s\n", row[0], row[1])
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
