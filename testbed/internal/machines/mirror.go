package machines

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// mirrorEvery is the longest time until a deleted mirror pod is made again.
const mirrorEvery = 2 * time.Second

// keepMirrorPods makes the mirror pods of the machine's static pods, with the
// node's credentials, and makes them again if somebody deletes them.
func (k *Kubelet) keepMirrorPods(ctx context.Context) {
	for ctx.Err() == nil {
		for _, component := range k.staticPods() {
			if err := k.mirror(ctx, component); err != nil {
				k.reportError(ctx, "mirror pod "+component, err)
			}
		}
		sleep(ctx, mirrorEvery)
	}
}

func (k *Kubelet) staticPods() []string {
	if k.machine.ControlPlane {
		return []string{"etcd", "kube-apiserver"}
	}
	return []string{"static-proxy"}
}

func (k *Kubelet) mirror(ctx context.Context, component string) error {
	m := k.machine
	name := component + "-" + m.Name
	if _, found, err := m.fleet.pods.GetByKey(metav1.NamespaceSystem + "/" + name); found || err != nil {
		return err
	}
	node, err := m.fleet.nodes.Get(m.Name)
	if err != nil {
		return err
	}
	owner := nodeOwner(node)
	owner.Controller = ptr.To(true)
	hash := fmt.Sprintf("%x", sha256.Sum256([]byte(m.SystemUUID+name)))[:32]
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Namespace: metav1.NamespaceSystem,
			Labels: map[string]string{"component": component, "tier": "control-plane"},
			Annotations: map[string]string{
				v1.MirrorPodAnnotationKey: hash, "kubernetes.io/config.hash": hash, "kubernetes.io/config.source": "file",
			},
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Spec: v1.PodSpec{
			NodeName: m.Name, HostNetwork: true, PriorityClassName: "system-node-critical",
			Tolerations: []v1.Toleration{{Operator: v1.TolerationOpExists, Effect: v1.TaintEffectNoExecute}},
			Containers:  []v1.Container{{Name: component, Image: "registry.invalid/" + component}},
		},
	}
	_, err = m.client.CoreV1().Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}
