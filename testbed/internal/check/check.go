// Package check tests on running testbeds what testbed/README.md promises. It
// uses a testbed only as a user does: through the JSON line of `up`, the
// Kubernetes API, the logs, the power program and the commands.
package check

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"junban.dev/testbed/internal/cluster"
	"junban.dev/testbed/internal/machines"
)

// timeout is how long a condition may take. It is much longer than needed,
// because this machine may be busy.
const timeout = 60 * time.Second

type Suite struct {
	Info   cluster.Info
	Client kubernetes.Interface

	command        *exec.Cmd
	passed, failed int
}

// Run tests each kind of cluster and returns an error if any step failed.
func Run(binary string) error {
	passed, failed := 0, 0
	for _, run := range []func(string) (*Suite, error){singlePlane, threePlanes} {
		suite, err := run(binary)
		if suite != nil {
			passed += suite.passed
			failed += suite.failed
		}
		if err != nil {
			failed++
			fmt.Println("FAIL", err)
		}
	}
	fmt.Printf("testbed check: %d passed, %d failed\n", passed, failed)
	if failed > 0 {
		return errors.New("the testbed does not do what testbed/README.md promises")
	}
	return nil
}

func singlePlane(binary string) (*Suite, error) {
	s, err := start(binary, workload, "--nodes", "3", "--mirror-pods", "--boot-seconds", "2..3",
		"--monitor-grace-seconds", "5", "--lease-seconds", "1", "--fault", "node-3=power-lost")
	if err != nil {
		return nil, err
	}
	defer s.kill()
	s.step("pods of every kind run", s.podsRun)
	s.step("a Job's pod succeeds by itself", s.jobSucceeds)
	s.step("containers that end by themselves crash-loop, and show their exit code", s.crashLoops)
	s.step("a node may not give itself a role or a taint", s.nodeIsRestricted)
	s.step("a service account's token works", s.accountToken)
	s.step("an eviction that the budget does not allow answers 429", s.budgetHolds)
	s.step("the kubelet corrects Ready=False that somebody else wrote", s.overwrittenStatusReturns)
	s.step("a pod that ignores SIGTERM ends with its grace period", s.graceIsCut)
	s.step("a finalizer keeps a pod whose containers have ended", s.finalizerHolds)
	s.step("a volume is detached only after its pod is gone", s.volumeDetaches)
	s.step("power-lost: exit 0, nothing happens, and the power log says so", s.powerLost)
	s.step("a reset: new bootID with Ready=True, old pod statuses at first, then a restart in place", s.reset)
	s.step("refuse: exit 75, nothing in the power log", s.powerRefused)
	s.step("power-unknown: exit 1, and the machine reboots", s.powerUnknown)
	s.step("power-killed: SIGKILL, and the machine reboots", s.powerKilled)
	s.step("power-hangs: the program does not end, and the machine reboots", s.powerHangs)
	s.step("slow=3: three times the boot time", s.bootsSlowly)
	s.step("the systemUUID of another machine: exit 75", s.wrongMachine)
	s.step("same-boot-id: the machine reboots with the old bootID", s.sameBootID)
	s.step("not-ready: new bootID, Ready=False until healed", s.returnsNotReady)
	s.step("never-returns: Unknown until healed", s.neverReturns)
	s.step("a machine reboots by itself", s.rebootsItself)
	s.step("a deleted Node is registered again at the next boot", s.deletedNodeReturns)
	s.step("a deleted mirror pod is made again", s.mirrorPodReturns)
	s.step("the audit log has requests with their times", s.auditLog)
	s.step("a frozen proxy drops all bytes until it is thawed", s.frozenProxy)
	s.step("nothing starts if the parent has ended", s.endedParentStartsNothing)
	s.step("every process ends with the supervisor", s.killedSupervisorLeavesNothing)
	return s, nil
}

// start runs `up` as the child of a shell, so that a step can kill its parent.
func start(binary, workload string, flags ...string) (*Suite, error) {
	file, err := os.CreateTemp("", "testbed-check-*.yaml")
	if err != nil {
		return nil, err
	}
	defer os.Remove(file.Name())
	if _, err := file.WriteString(workload); err != nil {
		return nil, err
	}
	file.Close()
	began := time.Now()
	args := append([]string{"up", "--foreground", "--output", "json", "--workload", file.Name()}, flags...)
	command := exec.Command("/bin/sh", append([]string{"-c", `"$@" & wait`, "sh", binary}, args...)...)
	command.Stderr = os.Stderr
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	s := &Suite{command: command}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		_ = command.Wait()
		return nil, fmt.Errorf("testbed %s did not come up", strings.Join(args, " "))
	}
	if err := json.Unmarshal(line, &s.Info); err != nil {
		s.kill()
		return nil, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", s.Info.Kubeconfig)
	if err != nil {
		s.kill()
		return nil, err
	}
	config.QPS = -1
	if s.Client, err = kubernetes.NewForConfig(config); err != nil {
		s.kill()
		return nil, err
	}
	fmt.Printf("up in %.1fs: %s\n", time.Since(began).Seconds(), strings.Join(flags, " "))
	return s, nil
}

// kill ends the testbed, if it is still running.
func (s *Suite) kill() {
	if s.Info.PID > 0 && alive(s.Info.PID) {
		_ = syscall.Kill(s.Info.PID, syscall.SIGTERM)
	}
	_ = s.command.Wait()
}

func (s *Suite) step(name string, run func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*timeout)
	defer cancel()
	began := time.Now()
	if err := run(ctx); err != nil {
		s.failed++
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	s.passed++
	fmt.Printf("ok   %s (%.1fs)\n", name, time.Since(began).Seconds())
}

// eventually checks the condition until it holds. Its error includes the error
// of the last check.
func eventually(ctx context.Context, holds func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := holds()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return fmt.Errorf("after %s: %w", timeout, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// testbed runs a command of the testbed on this cluster.
func (s *Suite) testbed(command string, args ...string) ([]byte, error) {
	cmd := exec.Command(s.Info.Binary, append([]string{command, "--dir", s.Info.Dir}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("testbed %s %v: %w: %s", command, args, err, &stderr)
	}
	return out, nil
}

func (s *Suite) machine(node, command string) (machines.Status, error) {
	var status machines.Status
	out, err := s.testbed("machine", node, command)
	if err != nil {
		return status, err
	}
	return status, json.Unmarshal(out, &status)
}

// power runs the power program as the `command` driver does. The exit code is
// -1 if a signal ended it.
func (s *Suite) power(node string, extra ...string) (int, error) {
	cmd := s.powerProgram(node, extra...)
	err := cmd.Run()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		return 0, err
	}
	return cmd.ProcessState.ExitCode(), nil
}

func (s *Suite) powerProgram(node string, extra ...string) *exec.Cmd {
	cmd := exec.Command(s.Info.PowerCommand[0], s.Info.PowerCommand[1:]...)
	cmd.Env = append([]string{"JUNBAN_NODE=" + node, "JUNBAN_ATTEMPT=1"}, extra...)
	return cmd
}

func (s *Suite) node(ctx context.Context, name string) (*v1.Node, error) {
	return s.Client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
}

func (s *Suite) bootID(ctx context.Context, name string) (string, error) {
	node, err := s.node(ctx, name)
	if err != nil {
		return "", err
	}
	return node.Status.NodeInfo.BootID, nil
}

func readyStatus(node *v1.Node) v1.ConditionStatus {
	for _, condition := range node.Status.Conditions {
		if condition.Type == v1.NodeReady {
			return condition.Status
		}
	}
	return ""
}

type powerLine struct{ Time, Node, BootIDBefore, Action, Effect string }

func (s *Suite) powerLines(node string) ([]powerLine, error) {
	raw, err := os.ReadFile(s.Info.PowerLog)
	if err != nil {
		return nil, err
	}
	var lines []powerLine
	for text := range strings.Lines(string(raw)) {
		var line powerLine
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			return nil, err
		}
		if _, err := time.Parse("2006-01-02T15:04:05.000Z07:00", line.Time); err != nil {
			return nil, err
		}
		if line.Node == node {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
