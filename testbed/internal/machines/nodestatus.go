package machines

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const controlPlaneLabel = "node-role.kubernetes.io/control-plane"

// differs: the API's Node does not show the state of this boot.
func (k *Kubelet) differs(node *v1.Node) bool {
	want := v1.ConditionTrue
	if k.returnedNotReady() {
		want = v1.ConditionFalse
	}
	ready := nodeCondition(node, v1.NodeReady)
	return node.Status.NodeInfo.BootID != k.bootID ||
		ready == nil || ready.Status != want ||
		!slices.Equal(node.Status.VolumesInUse, k.volumesInUse())
}

// postStatus writes bootID and Ready in one update, as real kubelets do.
func (k *Kubelet) postStatus(ctx context.Context, node *v1.Node) error {
	m := k.machine
	status := v1.NodeStatus{
		Capacity: k.capacity(), Allocatable: k.capacity(),
		Conditions: k.conditions(node),
		Addresses: []v1.NodeAddress{
			{Type: v1.NodeInternalIP, Address: m.address()}, {Type: v1.NodeHostName, Address: m.Name},
		},
		NodeInfo: v1.NodeSystemInfo{
			MachineID: m.machineID(), SystemUUID: m.SystemUUID, BootID: k.bootID,
			KernelVersion: "6.12.0-testbed", OSImage: "Junban testbed", OperatingSystem: "linux", Architecture: "amd64",
			ContainerRuntimeVersion: "containerd://1.7.24", KubeletVersion: kubeletVersion,
		},
	}
	data, err := statusPatch(status, k.volumesInUse())
	if err != nil {
		return err
	}
	_, err = m.client.CoreV1().Nodes().Patch(ctx, m.Name, types.StrategicMergePatchType, data, metav1.PatchOptions{}, "status")
	return err
}

// capacity is what the machine has in this boot. `heal` gives back what is missing.
func (k *Kubelet) capacity() v1.ResourceList {
	capacity := maps.Clone(k.machine.fleet.options.Capacity)
	if k.machine.isHealed() {
		return capacity
	}
	maps.Copy(capacity, k.with.resources)
	return capacity
}

// addTaints plays an agent that taints the Node after a boot. It does so once
// for each boot. The API server does not let a kubelet change the taints of its
// Node, so addTaints uses the administrator's credentials.
func (k *Kubelet) addTaints(ctx context.Context, node *v1.Node) error {
	if len(k.with.taints) == 0 || node.Status.NodeInfo.BootID == k.bootID {
		return nil
	}
	taints := slices.Clone(node.Spec.Taints)
	for _, taint := range k.with.taints {
		if !slices.ContainsFunc(taints, func(known v1.Taint) bool { return known.MatchTaint(&taint) }) {
			taints = append(taints, taint)
		}
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": node.ResourceVersion},
		"spec":     map[string]any{"taints": taints},
	})
	if err != nil {
		return err
	}
	_, err = k.machine.fleet.admin.CoreV1().Nodes().Patch(ctx, node.Name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}

// statusPatch writes volumesInUse also if it is empty; omitempty would drop it.
func statusPatch(status v1.NodeStatus, inUse []v1.UniqueVolumeName) ([]byte, error) {
	raw, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, err
	}
	fields["volumesInUse"] = inUse
	delete(fields, "daemonEndpoints")
	return json.Marshal(map[string]any{"status": fields})
}

func (k *Kubelet) conditions(node *v1.Node) []v1.NodeCondition {
	now := metav1.NewTime(time.Now())
	wanted := []v1.NodeCondition{
		{Type: v1.NodeMemoryPressure, Status: v1.ConditionFalse, Reason: "KubeletHasSufficientMemory"},
		{Type: v1.NodeDiskPressure, Status: v1.ConditionFalse, Reason: "KubeletHasNoDiskPressure"},
		{Type: v1.NodePIDPressure, Status: v1.ConditionFalse, Reason: "KubeletHasSufficientPID"},
		{Type: v1.NodeReady, Status: v1.ConditionTrue, Reason: "KubeletReady", Message: "kubelet is posting ready status"},
	}
	if k.returnedNotReady() {
		wanted[3] = v1.NodeCondition{Type: v1.NodeReady, Status: v1.ConditionFalse, Reason: "KubeletNotReady", Message: "container runtime network not ready"}
	}
	for i := range wanted {
		wanted[i].LastHeartbeatTime, wanted[i].LastTransitionTime = now, now
		if old := nodeCondition(node, wanted[i].Type); old != nil && old.Status == wanted[i].Status {
			wanted[i].LastTransitionTime = old.LastTransitionTime
		}
	}
	return wanted
}

func nodeCondition(node *v1.Node, kind v1.NodeConditionType) *v1.NodeCondition {
	for i := range node.Status.Conditions {
		if node.Status.Conditions[i].Type == kind {
			return &node.Status.Conditions[i]
		}
	}
	return nil
}

// labelControlPlane uses the administrator's credentials, because a node may
// not give itself a role.
func (f *Fleet) labelControlPlane(ctx context.Context, name string) error {
	patch := []byte(`{"metadata":{"labels":{"` + controlPlaneLabel + `":""}}}`)
	_, err := f.admin.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{})
	return err
}
