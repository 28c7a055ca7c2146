package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// rebooted waits until the node is Ready with a new bootID.
func (s *Suite) rebooted(ctx context.Context, node, before string) error {
	return eventually(ctx, func() error {
		found, err := s.node(ctx, node)
		if err == nil && (found.Status.NodeInfo.BootID == before || readyStatus(found) != v1.ConditionTrue) {
			err = fmt.Errorf("%s: bootID %s, Ready=%s", node, found.Status.NodeInfo.BootID, readyStatus(found))
		}
		return err
	})
}

// expect sets a fault, runs the power program, compares its exit code and the
// number of new lines in the power log, and heals.
func (s *Suite) expect(ctx context.Context, node, fault string, code, lines int, reboots bool) error {
	before, err := s.bootID(ctx, node)
	if err != nil {
		return err
	}
	old, err := s.powerLines(node)
	if err != nil {
		return err
	}
	if _, err := s.machine(node, fault); err != nil {
		return err
	}
	got, err := s.power(node)
	if err != nil {
		return err
	}
	if got != code {
		return fmt.Errorf("exit %d, want %d", got, code)
	}
	if reboots {
		if err := s.rebooted(ctx, node, before); err != nil {
			return err
		}
	}
	now, err := s.powerLines(node)
	if err != nil {
		return err
	}
	if len(now)-len(old) != lines {
		return fmt.Errorf("%d new lines in the power log, want %d", len(now)-len(old), lines)
	}
	_, err = s.machine(node, "heal")
	return err
}

func (s *Suite) powerRefused(ctx context.Context) error {
	return s.expect(ctx, "node-2", "refuse", 75, 0, false)
}

func (s *Suite) powerUnknown(ctx context.Context) error {
	return s.expect(ctx, "node-2", "power-unknown", 1, 1, true)
}

func (s *Suite) powerKilled(ctx context.Context) error {
	return s.expect(ctx, "node-2", "power-killed", -1, 1, true)
}

func (s *Suite) powerHangs(ctx context.Context) error {
	const name = "node-2"
	before, err := s.bootID(ctx, name)
	if err != nil {
		return err
	}
	if _, err := s.machine(name, "power-hangs"); err != nil {
		return err
	}
	cmd := s.powerProgram(name)
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := s.rebooted(ctx, name, before); err != nil {
		return err
	}
	select {
	case err := <-ended:
		return fmt.Errorf("the power program ended: %v", err)
	default:
		_ = cmd.Process.Kill()
	}
	_, err = s.machine(name, "heal")
	return err
}

// bootsSlowly: a boot takes at least 2 s without the fault.
func (s *Suite) bootsSlowly(ctx context.Context) error {
	began := time.Now()
	if err := s.expect(ctx, "node-2", "slow=3", 0, 1, true); err != nil {
		return err
	}
	if took := time.Since(began); took < 6*time.Second {
		return fmt.Errorf("the boot took only %s", took)
	}
	return nil
}

// isDead needs the fault `dead` on node-3, which `up --fault` has set.
func (s *Suite) isDead(ctx context.Context) error {
	const name = "node-3"
	node, err := s.node(ctx, name)
	if err != nil {
		return err
	}
	if readyStatus(node) != v1.ConditionUnknown {
		return fmt.Errorf("Ready=%s", readyStatus(node))
	}
	before := node.Status.NodeInfo.BootID
	if code, err := s.power(name); code != 0 || err != nil {
		return errors.Join(fmt.Errorf("exit %d", code), err)
	}
	lines, err := s.powerLines(name)
	if err != nil {
		return err
	}
	if len(lines) != 2 || lines[0].Effect != "dead" || lines[1].Effect != "reset-while-down" {
		return fmt.Errorf("power log %+v", lines)
	}
	if status, err := s.machine(name, "status"); err != nil || status.State != "down" {
		return errors.Join(fmt.Errorf("after a power action: %+v", status), err)
	}
	if _, err := s.machine(name, "heal"); err != nil {
		return err
	}
	return s.rebooted(ctx, name, before)
}

func (s *Suite) wrongMachine(context.Context) error {
	code, err := s.power("node-2", "JUNBAN_SYSTEM_UUID=not-this-one")
	if err == nil && code != 75 {
		err = fmt.Errorf("exit %d, want 75", code)
	}
	return err
}

// powerLost needs the fault `power-lost` on node-3, which `up --fault` has set.
func (s *Suite) powerLost(ctx context.Context) error {
	before, err := s.machine("node-3", "status")
	if err != nil {
		return err
	}
	code, err := s.power("node-3")
	if err != nil || code != 0 {
		return errors.Join(fmt.Errorf("exit %d, want 0", code), err)
	}
	lines, err := s.powerLines("node-3")
	if err != nil {
		return err
	}
	if len(lines) != 1 || lines[0].Effect != "lost" || lines[0].BootIDBefore != before.BootID {
		return fmt.Errorf("power log %+v", lines)
	}
	after, err := s.machine("node-3", "heal")
	if err == nil && (after.BootID != before.BootID || after.State != "up") {
		err = fmt.Errorf("the lost power action had an effect: %+v", after)
	}
	return err
}

// watchEvent is an event of one of two watches.
type watchEvent struct {
	node *v1.Node
	pod  *v1.Pod
}

// reset watches a reboot as a controller does.
func (s *Suite) reset(ctx context.Context) error {
	const name = "node-2"
	before, err := s.bootID(ctx, name)
	if err != nil {
		return err
	}
	pods, err := s.pods(ctx, "app=cart")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(pods, func(p v1.Pod) bool { return p.Spec.NodeName == name })
	if at < 0 {
		return errors.New("no pod of cart on node-2")
	}
	old := pods[at]
	events, stop, err := s.watchBoth(ctx, name, old.Name)
	if err != nil {
		return err
	}
	defer stop()
	if code, err := s.power(name); code != 0 || err != nil {
		return errors.Join(fmt.Errorf("exit %d", code), err)
	}
	booted, staleAfterBoot, unready := false, false, false
	current := &old
	deadline := time.After(timeout)
	for {
		select {
		case event := <-events:
			if event.node != nil && !booted && event.node.Status.NodeInfo.BootID != before {
				booted = true
				if readyStatus(event.node) != v1.ConditionTrue {
					return errors.New("the new bootID came without Ready=True")
				}
				staleAfterBoot = podReady(current)
			}
			if event.pod != nil {
				current = event.pod
				unready = unready || booted && !podReady(current)
			}
		case <-deadline:
			return fmt.Errorf("after the timeout: booted %t, old status after the boot %t, unready %t, pod Ready %t", booted, staleAfterBoot, unready, podReady(current))
		}
		if unready && podReady(current) {
			break
		}
	}
	if !staleAfterBoot {
		return errors.New("the API did not show the old Ready=True after the boot")
	}
	if current.UID != old.UID || current.Status.ContainerStatuses[0].RestartCount != old.Status.ContainerStatuses[0].RestartCount+1 {
		return errors.New("the pod did not restart in place")
	}
	for i, status := range current.Status.ContainerStatuses {
		if status.ContainerID == old.Status.ContainerStatuses[i].ContainerID {
			return errors.New("a container has the same ID after the boot")
		}
		if end := status.LastTerminationState.Terminated; end == nil || end.ExitCode != 255 || end.Reason != "Unknown" {
			return fmt.Errorf("last state %+v", status.LastTerminationState)
		}
	}
	lines, err := s.powerLines(name)
	if err != nil {
		return err
	}
	if len(lines) != 1 || lines[0].BootIDBefore != before || lines[0].Action != "reset" || lines[0].Effect != "reset" {
		return fmt.Errorf("power log %+v", lines)
	}
	return nil
}

// watchBoth merges the watches of a node and a pod. The order between the two
// may be wrong by some milliseconds; a pod status stays old for 0.2 s.
func (s *Suite) watchBoth(ctx context.Context, node, pod string) (<-chan watchEvent, func(), error) {
	named := func(name string) metav1.ListOptions {
		return metav1.ListOptions{FieldSelector: "metadata.name=" + name}
	}
	nodes, err := s.Client.CoreV1().Nodes().Watch(ctx, named(node))
	if err != nil {
		return nil, nil, err
	}
	pods, err := s.Client.CoreV1().Pods(namespace).Watch(ctx, named(pod))
	if err != nil {
		nodes.Stop()
		return nil, nil, err
	}
	merged := make(chan watchEvent, 1000)
	forward := func(source watch.Interface) {
		for event := range source.ResultChan() {
			switch object := event.Object.(type) {
			case *v1.Node:
				merged <- watchEvent{node: object}
			case *v1.Pod:
				merged <- watchEvent{pod: object}
			}
		}
	}
	go forward(nodes)
	go forward(pods)
	return merged, func() { nodes.Stop(); pods.Stop() }, nil
}

func (s *Suite) sameBootID(ctx context.Context) error {
	agents, err := s.pods(ctx, "app=agent")
	if err != nil {
		return err
	}
	at := slices.IndexFunc(agents, func(p v1.Pod) bool { return p.Spec.NodeName == "node-2" })
	if at < 0 {
		return errors.New("no agent on node-2")
	}
	old := agents[at].Status.ContainerStatuses[0]
	before, err := s.bootID(ctx, "node-2")
	if err != nil {
		return err
	}
	if _, err := s.machine("node-2", "same-boot-id"); err != nil {
		return err
	}
	if code, err := s.power("node-2"); code != 0 || err != nil {
		return errors.Join(fmt.Errorf("exit %d", code), err)
	}
	err = eventually(ctx, func() error {
		pod, err := s.Client.CoreV1().Pods(namespace).Get(ctx, agents[at].Name, metav1.GetOptions{})
		if err == nil && (pod.Status.ContainerStatuses[0].ContainerID == old.ContainerID || !podReady(pod)) {
			err = errors.New("its containers did not restart")
		}
		return err
	})
	if err != nil {
		return err
	}
	if after, err := s.bootID(ctx, "node-2"); err != nil || after != before {
		return errors.Join(errors.New("the bootID changed"), err)
	}
	_, err = s.machine("node-2", "heal")
	return err
}

func (s *Suite) returnsNotReady(ctx context.Context) error {
	before, err := s.bootID(ctx, "node-2")
	if err != nil {
		return err
	}
	if _, err := s.power("node-2"); err != nil {
		return err
	}
	if _, err := s.machine("node-2", "not-ready"); err != nil {
		return err
	}
	err = eventually(ctx, func() error {
		node, err := s.node(ctx, "node-2")
		if err == nil && (node.Status.NodeInfo.BootID == before || readyStatus(node) != v1.ConditionFalse) {
			err = fmt.Errorf("Ready=%s", readyStatus(node))
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := s.machine("node-2", "heal"); err != nil {
		return err
	}
	if err := s.rebooted(ctx, "node-2", before); err != nil {
		return err
	}
	return s.readyPods(ctx, "app=agent", 3)
}

func (s *Suite) neverReturns(ctx context.Context) error {
	before, err := s.bootID(ctx, "node-3")
	if err != nil {
		return err
	}
	if _, err := s.machine("node-3", "never-returns"); err != nil {
		return err
	}
	if code, err := s.power("node-3"); code != 0 || err != nil {
		return errors.Join(fmt.Errorf("exit %d", code), err)
	}
	err = eventually(ctx, func() error {
		node, err := s.node(ctx, "node-3")
		if err == nil && readyStatus(node) != v1.ConditionUnknown {
			err = fmt.Errorf("Ready=%s", readyStatus(node))
		}
		return err
	})
	if err != nil {
		return err
	}
	if status, err := s.machine("node-3", "heal"); err != nil || status.State != "booting" {
		return errors.Join(fmt.Errorf("after heal: %+v", status), err)
	}
	return s.rebooted(ctx, "node-3", before)
}

func (s *Suite) rebootsItself(ctx context.Context) error {
	before, err := s.bootID(ctx, "node-1")
	if err != nil {
		return err
	}
	if _, err := s.machine("node-1", "reboot"); err != nil {
		return err
	}
	if err := s.rebooted(ctx, "node-1", before); err != nil {
		return err
	}
	lines, err := s.powerLines("node-1")
	if err == nil && (len(lines) != 1 || lines[0].Action != "self" || lines[0].BootIDBefore != before) {
		err = fmt.Errorf("power log %+v", lines)
	}
	return err
}

func (s *Suite) deletedNodeReturns(ctx context.Context) error {
	old, err := s.node(ctx, "node-3")
	if err != nil {
		return err
	}
	if err := s.Client.CoreV1().Nodes().Delete(ctx, "node-3", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if _, err := s.node(ctx, "node-3"); !apierrors.IsNotFound(err) {
		return fmt.Errorf("a running kubelet must not register its Node again, got %v", err)
	}
	if _, err := s.machine("node-3", "reboot"); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		node, err := s.node(ctx, "node-3")
		if err == nil && (node.UID == old.UID || readyStatus(node) != v1.ConditionTrue || strings.TrimSpace(node.Status.NodeInfo.BootID) == "") {
			err = fmt.Errorf("Ready=%s", readyStatus(node))
		}
		return err
	})
}
