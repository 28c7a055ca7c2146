package check

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"junban.dev/testbed/internal/cluster"
)

func threePlanes(binary string) (*Suite, error) {
	s, err := start(binary, workload, "--nodes", "3", "--control-planes", "3", "--boot-seconds", "2..3", "--fault", "node-3=dead")
	if err != nil {
		return nil, err
	}
	defer s.kill()
	s.step("three control planes are tainted Nodes with their static pods", s.controlPlaneNodes)
	s.step("a reboot of a control plane stops its two processes, and the API still answers", s.controlPlaneReboots)
	s.step("dead: down when `up` returns, and until healed", s.isDead)
	s.step("the testbed ends with its parent and leaves nothing", s.endsWithItsParent)
	return s, nil
}

func (s *Suite) controlPlaneNodes(ctx context.Context) error {
	nodes, err := s.Client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: "node-role.kubernetes.io/control-plane"})
	if err != nil {
		return err
	}
	if len(nodes.Items) != 3 {
		return fmt.Errorf("%d control-plane nodes", len(nodes.Items))
	}
	for _, node := range nodes.Items {
		if len(node.Spec.Taints) != 1 || node.Spec.Taints[0].Key != "node-role.kubernetes.io/control-plane" {
			return fmt.Errorf("%s: unexpected taints %v", node.Name, node.Spec.Taints)
		}
	}
	return eventually(ctx, func() error {
		pods, err := s.Client.CoreV1().Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "component=etcd"})
		if err != nil {
			return err
		}
		ready := 0
		for _, pod := range pods.Items {
			if podReady(&pod) {
				ready++
			}
		}
		if ready != 3 {
			return fmt.Errorf("%d etcd pods are Ready", ready)
		}
		return nil
	})
}

func etcdHealthy(url string) bool {
	response, err := (&http.Client{Timeout: time.Second}).Get(url + "/health")
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (s *Suite) controlPlaneReboots(ctx context.Context) error {
	plane := s.Info.ControlPlanes[1]
	before, err := s.bootID(ctx, plane.Name)
	if err != nil {
		return err
	}
	if code, err := s.power(plane.Name); code != 0 || err != nil {
		return errors.Join(fmt.Errorf("exit %d", code), err)
	}
	for _, pid := range []int{plane.APIServerPID, plane.EtcdPID} {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("process %d is still running", pid)
		}
	}
	if etcdHealthy(plane.EtcdHealth) {
		return errors.New("its etcd member is still healthy")
	}
	if _, err := s.node(ctx, "node-1"); err != nil {
		return fmt.Errorf("the API does not answer while one of three control planes is down: %w", err)
	}
	if err := s.rebooted(ctx, plane.Name, before); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		if !etcdHealthy(plane.EtcdHealth) {
			return errors.New("its etcd member is not healthy yet")
		}
		return nil
	})
}

// auditLog looks for a refused eviction and for a Lease of a node.
func (s *Suite) auditLog(context.Context) error {
	file, err := os.Open(s.Info.AuditLog)
	if err != nil {
		return err
	}
	defer file.Close()
	type event struct {
		Verb                     string
		User                     struct{ Username string }
		ObjectRef                struct{ Resource, Subresource, Name string }
		ResponseStatus           struct{ Code int }
		RequestReceivedTimestamp time.Time
		StageTimestamp           time.Time
	}
	refused, byNode := false, false
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<22)
	for scanner.Scan() {
		var e event
		if err := json.Unmarshal(scanner.Bytes(), &e); err != nil {
			return err
		}
		timed := !e.StageTimestamp.Before(e.RequestReceivedTimestamp) && !e.RequestReceivedTimestamp.IsZero()
		refused = refused || timed && e.Verb == "create" && e.ObjectRef.Subresource == "eviction" && e.ResponseStatus.Code == 429 && e.User.Username == "testbed-admin"
		byNode = byNode || timed && e.ObjectRef.Resource == "leases" && strings.HasPrefix(e.User.Username, "system:node:")
	}
	if !refused || !byNode {
		return fmt.Errorf("found the refused eviction: %t; found a Lease of a node: %t", refused, byNode)
	}
	return scanner.Err()
}

func (s *Suite) frozenProxy(ctx context.Context) error {
	client, err := s.clientOf("--proxy", "--user", "a", "--groups", "system:masters")
	if err != nil {
		return err
	}
	get := func() error {
		_, err := client.CoreV1().Nodes().Get(ctx, "node-1", metav1.GetOptions{})
		return err
	}
	if err := get(); err != nil {
		return err
	}
	if _, err := s.testbed("proxy", "freeze"); err != nil {
		return err
	}
	if err := get(); err == nil {
		return errors.New("the frozen proxy passed an answer on")
	}
	if _, err := s.node(ctx, "node-1"); err != nil {
		return fmt.Errorf("the balancer is frozen as well: %w", err)
	}
	if _, err := s.testbed("proxy", "thaw"); err != nil {
		return err
	}
	return eventually(ctx, get)
}

// processes returns the processes that the supervisor has started.
func (s *Suite) processes() ([]cluster.ProcessStatus, error) {
	out, err := s.testbed("status", "--output", "json")
	if err != nil {
		return nil, err
	}
	var report cluster.StatusReport
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, err
	}
	if len(report.Processes) == 0 {
		return nil, errors.New("status lists no process")
	}
	return report.Processes, nil
}

func allEnd(ctx context.Context, processes []cluster.ProcessStatus) error {
	return eventually(ctx, func() error {
		for _, process := range processes {
			if alive(process.PID) {
				return fmt.Errorf("%s (process %d) is still running", process.Name, process.PID)
			}
		}
		return nil
	})
}

// killedSupervisorLeavesNothing sends SIGKILL, so the supervisor cannot clean
// up.
func (s *Suite) killedSupervisorLeavesNothing(ctx context.Context) error {
	processes, err := s.processes()
	if err != nil {
		return err
	}
	defer os.RemoveAll(s.Info.Dir)
	if err := syscall.Kill(s.Info.PID, syscall.SIGKILL); err != nil {
		return err
	}
	return allEnd(ctx, processes)
}

// endsWithItsParent sends SIGKILL to the parent: the supervisor has to notice
// it by itself.
func (s *Suite) endsWithItsParent(ctx context.Context) error {
	processes, err := s.processes()
	if err != nil {
		return err
	}
	_ = s.command.Process.Kill()
	if err := allEnd(ctx, processes); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		if alive(s.Info.PID) {
			return fmt.Errorf("the supervisor (process %d) is still running", s.Info.PID)
		}
		if _, err := os.Stat(s.Info.Dir); !os.IsNotExist(err) {
			return fmt.Errorf("the directory %s still exists", s.Info.Dir)
		}
		return nil
	})
}

// endedParentStartsNothing: --parent names a process that is not the parent, as
// if the parent had ended before its child asked for it.
func (s *Suite) endedParentStartsNothing(ctx context.Context) error {
	orphan, err := os.MkdirTemp("", "testbed-check-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(orphan)
	command := exec.CommandContext(ctx, s.Info.Binary, "up", "--foreground", "--parent", strconv.Itoa(s.Info.PID), "--dir", orphan)
	if out, err := command.CombinedOutput(); err == nil || !strings.Contains(string(out), "the parent process has ended") {
		return fmt.Errorf("up printed %q and ended with %v", out, err)
	}
	entries, err := os.ReadDir(orphan)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("up left %v behind", entries)
	}
	return err
}

// alive: a zombie process counts as ended.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
