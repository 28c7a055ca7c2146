package check

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
	policy "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
)

const workload = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: cart}}
  template:
    metadata: {labels: {app: cart}, annotations: {testbed.junban.dev/start-seconds: "2"}}
    spec:
      topologySpreadConstraints: [{maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {app: cart}}}]
      containers: [{name: a, image: cart}, {name: b, image: sidecar}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: cart, namespace: shop}
spec: {maxUnavailable: 1, selector: {matchLabels: {app: cart}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: shop}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      tolerations: [{operator: Exists}]
      containers: [{name: a, image: agent}]
---
apiVersion: batch/v1
kind: Job
metadata: {name: report, namespace: shop}
spec:
  template:
    metadata: {labels: {app: report}, annotations: {testbed.junban.dev/run-seconds: "1"}}
    spec:
      restartPolicy: Never
      containers: [{name: a, image: report}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: crash, namespace: shop}
spec:
  selector: {matchLabels: {app: crash}}
  template:
    metadata: {labels: {app: crash}, annotations: {testbed.junban.dev/run-seconds: "1", testbed.junban.dev/exit-code: "3"}}
    spec:
      containers: [{name: a, image: crash}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sick, namespace: shop}
spec:
  selector: {matchLabels: {app: sick}}
  template:
    metadata: {labels: {app: sick}, annotations: {testbed.junban.dev/never-ready: "true"}}
    spec:
      containers: [{name: a, image: sick}]
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-1}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: local
  local: {path: /data}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node-1]}]}]}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: csi-1, annotations: {testbed.junban.dev/detach-seconds: "1.5"}}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  storageClassName: csi
  csi: {driver: disk.testbed.junban.dev, volumeHandle: vol-1}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      containers: [{name: a, image: db}]
  volumeClaimTemplates: [{metadata: {name: d}, spec: {storageClassName: local, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: disk, namespace: shop}
spec: {storageClassName: csi, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: Pod
metadata: {name: disk, namespace: shop, labels: {app: disk}}
spec:
  containers: [{name: a, image: disk}]
  volumes: [{name: d, persistentVolumeClaim: {claimName: disk}}]
`

const namespace = "shop"

func (s *Suite) pods(ctx context.Context, selector string) ([]v1.Pod, error) {
	list, err := s.Client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func podReady(pod *v1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c v1.PodCondition) bool {
		return c.Type == v1.PodReady && c.Status == v1.ConditionTrue
	})
}

func (s *Suite) readyPods(ctx context.Context, selector string, want int) error {
	return eventually(ctx, func() error {
		pods, err := s.pods(ctx, selector)
		if err != nil {
			return err
		}
		ready := 0
		for _, pod := range pods {
			if podReady(&pod) && pod.DeletionTimestamp == nil {
				ready++
			}
		}
		if ready != want {
			return fmt.Errorf("%d of %d pods %s are Ready", ready, want, selector)
		}
		return nil
	})
}

func (s *Suite) podsRun(ctx context.Context) error {
	for selector, want := range map[string]int{"app=cart": 3, "app=agent": 3, "app=db": 1, "app=disk": 1} {
		if err := s.readyPods(ctx, selector, want); err != nil {
			return err
		}
	}
	sick, err := s.pods(ctx, "app=sick")
	if err != nil {
		return err
	}
	if len(sick) != 1 || sick[0].Status.Phase != v1.PodRunning || podReady(&sick[0]) {
		return fmt.Errorf("never-ready: want 1 running pod that is not Ready, got %d pods", len(sick))
	}
	db, err := s.Client.CoreV1().Pods(namespace).Get(ctx, "db-0", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if db.Spec.NodeName != "node-1" {
		return fmt.Errorf("the pod with the local volume of node-1 is on %s", db.Spec.NodeName)
	}
	cart, err := s.pods(ctx, "app=cart")
	if err != nil {
		return err
	}
	for _, status := range cart[0].Status.ContainerStatuses {
		if len(status.ContainerID) != len("containerd://")+64 || status.State.Running == nil {
			return fmt.Errorf("container status %+v", status)
		}
	}
	return nil
}

func (s *Suite) jobSucceeds(ctx context.Context) error {
	return eventually(ctx, func() error {
		job, err := s.Client.BatchV1().Jobs(namespace).Get(ctx, "report", metav1.GetOptions{})
		if err == nil && job.Status.Succeeded != 1 {
			err = fmt.Errorf("job status %+v", job.Status)
		}
		return err
	})
}

// crashLoops waits until the container has restarted twice and has waited in
// between.
func (s *Suite) crashLoops(ctx context.Context) error {
	waited := false
	return eventually(ctx, func() error {
		pods, err := s.pods(ctx, "app=crash")
		if err != nil {
			return err
		}
		if len(pods) != 1 || len(pods[0].Status.ContainerStatuses) != 1 {
			return fmt.Errorf("%d pods", len(pods))
		}
		status := pods[0].Status.ContainerStatuses[0]
		waiting, end := status.State.Waiting, status.LastTerminationState.Terminated
		waited = waited || waiting != nil && waiting.Reason == "CrashLoopBackOff"
		if !waited || end == nil || end.ExitCode != 3 || status.RestartCount < 2 {
			return fmt.Errorf("status %+v", status)
		}
		return nil
	})
}

func (s *Suite) evict(ctx context.Context, pod *v1.Pod) error {
	return s.Client.PolicyV1().Evictions(namespace).Evict(ctx, &policy.Eviction{
		ObjectMeta:    metav1.ObjectMeta{Name: pod.Name, Namespace: namespace},
		DeleteOptions: &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &pod.UID}},
	})
}

func (s *Suite) budgetHolds(ctx context.Context) error {
	pods, err := s.pods(ctx, "app=cart")
	if err != nil {
		return err
	}
	if err := s.evict(ctx, &pods[0]); err != nil {
		return fmt.Errorf("first eviction: %w", err)
	}
	if err := s.evict(ctx, &pods[1]); !apierrors.IsTooManyRequests(err) {
		return fmt.Errorf("second eviction: want 429, got %v", err)
	}
	return s.readyPods(ctx, "app=cart", 3)
}

// barePod makes a pod on node-1 and waits until it is Ready.
func (s *Suite) barePod(ctx context.Context, name string, change func(*v1.Pod)) error {
	pod := &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": name}, Annotations: map[string]string{}},
		Spec:       v1.PodSpec{NodeName: "node-1", Containers: []v1.Container{{Name: "a", Image: name}}},
	}
	change(pod)
	if _, err := s.Client.CoreV1().Pods(namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil {
		return err
	}
	return s.readyPods(ctx, "app="+name, 1)
}

func (s *Suite) gone(ctx context.Context, name string) error {
	return eventually(ctx, func() error {
		_, err := s.Client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return errors.Join(fmt.Errorf("pod %s still exists", name), err)
	})
}

func (s *Suite) graceIsCut(ctx context.Context) error {
	err := s.barePod(ctx, "stubborn", func(pod *v1.Pod) {
		pod.Annotations["testbed.junban.dev/ignore-sigterm"] = "true"
		pod.Spec.TerminationGracePeriodSeconds = ptr.To[int64](3)
	})
	if err != nil {
		return err
	}
	began := time.Now()
	if err := s.Client.CoreV1().Pods(namespace).Delete(ctx, "stubborn", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := s.gone(ctx, "stubborn"); err != nil {
		return err
	}
	if took := time.Since(began); took < 2900*time.Millisecond {
		return fmt.Errorf("the pod ended after %s, but its grace period is 3 s", took)
	}
	return nil
}

// overwrittenStatusReturns writes Ready=False, as the node lifecycle controller
// does for the pods of a node whose Lease is too old.
func (s *Suite) overwrittenStatusReturns(ctx context.Context) error {
	if err := s.barePod(ctx, "overwritten", func(*v1.Pod) {}); err != nil {
		return err
	}
	pods := s.Client.CoreV1().Pods(namespace)
	no := []byte(`{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`)
	written, err := pods.Patch(ctx, "overwritten", types.StrategicMergePatchType, no, metav1.PatchOptions{}, "status")
	if err != nil {
		return err
	}
	if podReady(written) {
		return errors.New("the patch did not set Ready=False")
	}
	began := time.Now()
	if err := s.readyPods(ctx, "app=overwritten", 1); err != nil {
		return err
	}
	if took := time.Since(began); took > 10*time.Second {
		return fmt.Errorf("the pod became Ready only after %s", took)
	}
	return nil
}

func (s *Suite) finalizerHolds(ctx context.Context) error {
	err := s.barePod(ctx, "held", func(pod *v1.Pod) { pod.Finalizers = []string{"testbed.junban.dev/check"} })
	if err != nil {
		return err
	}
	pods := s.Client.CoreV1().Pods(namespace)
	if err := pods.Delete(ctx, "held", metav1.DeleteOptions{}); err != nil {
		return err
	}
	err = eventually(ctx, func() error {
		pod, err := pods.Get(ctx, "held", metav1.GetOptions{})
		if err == nil && (pod.Status.Phase != v1.PodSucceeded || ptr.Deref(pod.DeletionGracePeriodSeconds, -1) != 0) {
			err = fmt.Errorf("phase %s", pod.Status.Phase)
		}
		return err
	})
	if err != nil {
		return err
	}
	if _, err := pods.Patch(ctx, "held", types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{}); err != nil {
		return err
	}
	return s.gone(ctx, "held")
}

func (s *Suite) volumeDetaches(ctx context.Context) error {
	attachments := func() (int, error) {
		list, err := s.Client.StorageV1().VolumeAttachments().List(ctx, metav1.ListOptions{})
		if err != nil {
			return 0, err
		}
		return len(list.Items), nil
	}
	if n, err := attachments(); n != 1 || err != nil {
		return errors.Join(fmt.Errorf("want 1 attachment while the pod runs, got %d", n), err)
	}
	if err := s.Client.CoreV1().Pods(namespace).Delete(ctx, "disk", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if err := s.gone(ctx, "disk"); err != nil {
		return err
	}
	if n, err := attachments(); n != 1 || err != nil {
		return errors.Join(fmt.Errorf("want 1 attachment right after the pod is gone, got %d", n), err)
	}
	return eventually(ctx, func() error {
		n, err := attachments()
		if err == nil && n != 0 {
			err = fmt.Errorf("%d attachments", n)
		}
		return err
	})
}

func (s *Suite) nodeIsRestricted(ctx context.Context) error {
	client, err := s.clientOf("--node", "node-1")
	if err != nil {
		return err
	}
	patch := func(node, text string) error {
		_, err := client.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(text), metav1.PatchOptions{})
		return err
	}
	if err := patch("node-1", `{"metadata":{"annotations":{"check.testbed/own":"yes"}}}`); err != nil {
		return fmt.Errorf("a node must be able to annotate itself: %w", err)
	}
	for what, text := range map[string]string{
		"role":  `{"metadata":{"labels":{"node-role.kubernetes.io/control-plane":""}}}`,
		"taint": `{"spec":{"taints":[{"key":"a","effect":"NoSchedule"}]}}`,
	} {
		if err := patch("node-1", text); !apierrors.IsForbidden(err) {
			return fmt.Errorf("a node sets its own %s: want 403, got %v", what, err)
		}
	}
	if err := patch("node-2", `{"metadata":{"annotations":{"a":"b"}}}`); !apierrors.IsForbidden(err) {
		return fmt.Errorf("a node annotates another node: want 403, got %v", err)
	}
	return nil
}

func (s *Suite) accountToken(ctx context.Context) error {
	client, err := s.clientOf("--service-account", "shop/default")
	if err != nil {
		return err
	}
	if _, err := client.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{}); !apierrors.IsForbidden(err) {
		return fmt.Errorf("an account without rights: want 403, got %v", err)
	}
	return nil
}

// clientOf uses the credentials that `testbed kubeconfig` prints.
func (s *Suite) clientOf(flags ...string) (kubernetes.Interface, error) {
	text, err := s.testbed("kubeconfig", flags...)
	if err != nil {
		return nil, err
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(text)
	if err != nil {
		return nil, err
	}
	config.Timeout = 3 * time.Second
	return kubernetes.NewForConfig(config)
}

func (s *Suite) mirrorPodReturns(ctx context.Context) error {
	pods := s.Client.CoreV1().Pods(metav1.NamespaceSystem)
	first, err := pods.Get(ctx, "static-proxy-node-1", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if first.Annotations[v1.MirrorPodAnnotationKey] == "" || first.OwnerReferences[0].Kind != "Node" {
		return fmt.Errorf("not a mirror pod: %+v", first.ObjectMeta)
	}
	if err := pods.Delete(ctx, first.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	return eventually(ctx, func() error {
		again, err := pods.Get(ctx, first.Name, metav1.GetOptions{})
		if err == nil && (again.UID == first.UID || !podReady(again)) {
			err = errors.New("the mirror pod is not back yet")
		}
		return err
	})
}
