package machines

import (
	"crypto/sha256"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// statusOf is the status that a kubelet reports for a record.
func statusOf(pod *v1.Pod, rec *record, hostIP string) map[string]any {
	status := map[string]any{
		"observedGeneration": pod.Generation,
		"phase":              phaseOf(rec),
		"startTime":          metav1.NewTime(rec.startTime),
		"hostIP":             hostIP,
		"hostIPs":            []v1.HostIP{{IP: hostIP}}, // it never changes, so the API may merge the list
		"conditions":         podConditions(pod, rec),
		"containerStatuses":  containerStatuses(pod, rec),
	}
	if rec.ip != "" {
		status["podIP"] = rec.ip
		// Replace the list: a merge would keep the address of the old sandbox.
		status["podIPs"] = []any{map[string]string{"$patch": "replace"}, v1.PodIP{IP: rec.ip}}
	}
	return status
}

func phaseOf(rec *record) v1.PodPhase {
	switch {
	case rec.stage == exited && rec.exit == 0:
		return v1.PodSucceeded
	case rec.stage == exited:
		return v1.PodFailed
	case rec.started:
		return v1.PodRunning
	default:
		return v1.PodPending
	}
}

// podConditions does not contain PodScheduled and DisruptionTarget, which
// others write: the patch merges conditions by type, so they stay.
func podConditions(pod *v1.Pod, rec *record) []map[string]any {
	sandbox, ready := v1.ConditionFalse, v1.ConditionFalse
	if rec.stage == running {
		sandbox = v1.ConditionTrue
	}
	reason := "ContainersNotReady"
	if rec.stage == exited {
		reason = "PodFailed"
		if rec.exit == 0 {
			reason = "PodCompleted"
		}
	}
	if rec.ready {
		ready, reason = v1.ConditionTrue, ""
	}
	conditions := []v1.PodCondition{
		{Type: v1.PodReadyToStartContainers, Status: sandbox},
		{Type: v1.PodInitialized, Status: v1.ConditionTrue},
		{Type: v1.ContainersReady, Status: ready, Reason: reason},
		{Type: v1.PodReady, Status: ready, Reason: reason},
	}
	now := metav1.NewTime(time.Now())
	patches := make([]map[string]any, 0, len(conditions))
	for _, condition := range conditions {
		since := now
		for _, old := range pod.Status.Conditions {
			if old.Type == condition.Type && old.Status == condition.Status {
				since = old.LastTransitionTime
			}
		}
		patches = append(patches, map[string]any{
			"type": condition.Type, "status": condition.Status, "lastTransitionTime": since,
			"observedGeneration": pod.Generation,
			"reason":             condition.Reason, // also if empty: a merge would keep the old one
		})
	}
	return patches
}

func containerStatuses(pod *v1.Pod, rec *record) []v1.ContainerStatus {
	statuses := make([]v1.ContainerStatus, 0, len(pod.Spec.Containers))
	for _, container := range pod.Spec.Containers {
		started := rec.stage == running
		status := v1.ContainerStatus{
			Name: container.Name, Image: container.Image, ImageID: containerHash("sha256:", container.Image, "", 0),
			Ready: rec.ready, RestartCount: rec.restarts, Started: &started,
		}
		if rec.containers > 0 {
			status.ContainerID = containerID(pod, container.Name, rec.containers)
		}
		switch rec.stage {
		case running:
			status.State.Running = &v1.ContainerStateRunning{StartedAt: metav1.NewTime(rec.since)}
			if rec.restarts > 0 {
				status.LastTerminationState.Terminated = terminated(containerID(pod, container.Name, rec.containers-1), rec.lastExit, rec.lastLost)
			}
		case exited:
			status.State.Terminated = terminated(status.ContainerID, rec.exit, rec.lastLost)
		default:
			status.State.Waiting = &v1.ContainerStateWaiting{Reason: "ContainerCreating"}
			if rec.restarts > 0 {
				if !rec.lastLost {
					status.State.Waiting.Reason = "CrashLoopBackOff"
				}
				status.LastTerminationState.Terminated = terminated(status.ContainerID, rec.lastExit, rec.lastLost)
			}
		}
		statuses = append(statuses, status)
	}
	return statuses
}

func terminated(id string, code int32, lost bool) *v1.ContainerStateTerminated {
	state := &v1.ContainerStateTerminated{ExitCode: code, ContainerID: id, Reason: "Error", FinishedAt: metav1.NewTime(time.Now())}
	switch {
	case lost && code == exitUnknown:
		state.Reason = "Unknown"
	case code == 0:
		state.Reason = "Completed"
	}
	return state
}

// containerID differs for each start of a container, and is the same each time
// that one status is written.
func containerID(pod *v1.Pod, container string, generation int) string {
	return containerHash("containerd://", string(pod.UID), container, generation)
}

func containerHash(scheme, a, b string, n int) string {
	return fmt.Sprintf("%s%x", scheme, sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d", a, b, n)))
}
