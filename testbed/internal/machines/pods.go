package machines

import (
	"context"
	"encoding/json"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// podWorker runs one pod during one boot of its machine.
type podWorker struct {
	kubelet   *Kubelet
	uid       string
	changed   chan struct{}
	overwrite overwriteCheck
}

func newPodWorker(k *Kubelet, uid string) *podWorker {
	return &podWorker{kubelet: k, uid: uid, changed: make(chan struct{}, 1)}
}

func (w *podWorker) wake() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// run ends when the API no longer has the pod or the machine goes down.
func (w *podWorker) run(ctx context.Context) {
	m := w.kubelet.machine
	rec, dirty := w.loadRecord(ctx)
	for ctx.Err() == nil {
		pod := m.fleet.pod(w.uid)
		if pod == nil {
			m.disk.forget(ctx, w.uid)
			w.kubelet.wake() // its volumes may no longer be in use
			return
		}
		wait := never
		if !finished(pod) || rec.stage != exited {
			changed, next := w.advance(&rec, pod)
			dirty, wait = dirty || changed, next
		}
		if overwritten, again := w.overwrite.check(pod, &rec, time.Now()); !dirty {
			dirty, wait = overwritten, min(wait, again)
		}
		m.disk.save(ctx, w.uid, rec)
		if dirty {
			err := w.post(ctx, pod, &rec)
			dirty = !needsNoRetry(err)
			if dirty {
				w.kubelet.reportError(ctx, "status of pod "+pod.Name, err)
				wait = retryEvery
			}
		}
		if !dirty && pod.DeletionTimestamp != nil && rec.stage == exited && !rec.deleteSent {
			err := w.remove(ctx, pod)
			rec.deleteSent = needsNoRetry(err)
			w.kubelet.wake()
			if !rec.deleteSent {
				w.kubelet.reportError(ctx, "delete pod "+pod.Name, err)
				wait = retryEvery
			}
		}
		w.await(ctx, wait)
	}
}

// loadRecord loads the pod's record, which an earlier boot may have written.
// dirty: its status must be written.
func (w *podWorker) loadRecord(ctx context.Context) (rec record, dirty bool) {
	m := w.kubelet.machine
	boot := m.Status().Boots
	rec, known := m.disk.load(w.uid)
	pod := m.fleet.pod(w.uid)
	if pod == nil {
		return rec, false
	}
	switch {
	case !known && finished(pod):
		return record{boot: boot, stage: exited}, false
	case !known:
		return record{boot: boot, startTime: time.Now()}, true
	case rec.boot != boot:
		sleep(ctx, m.between(staleStatusMin, staleStatusMax))
		rec.boot = boot
		rec.deleteSent = false
		before := rec.stage
		if current := m.fleet.pod(w.uid); current != nil {
			pod = current
		}
		rec.containersLost(w.facts(pod), time.Now())
		return rec, before != exited
	default:
		return rec, true
	}
}

// advance moves the record as far as possible.
func (w *podWorker) advance(rec *record, pod *v1.Pod) (changed bool, wait time.Duration) {
	f := w.facts(pod)
	for {
		before := rec.stage
		again, next := rec.advance(f, time.Now())
		changed, wait = changed || again, next
		if rec.stage == before || next > 0 {
			break
		}
	}
	if rec.stage == running && rec.ip == "" {
		rec.ip = w.kubelet.machine.disk.nextAddress(w.kubelet.machine.index)
	}
	return changed, wait
}

func (w *podWorker) facts(pod *v1.Pod) facts {
	b, errs := behaviourOf(pod)
	for _, err := range errs {
		w.kubelet.machine.fleet.reportOnce("pod "+pod.Namespace+"/"+pod.Name, err)
	}
	f := facts{behaviour: b, policy: pod.Spec.RestartPolicy, deleting: pod.DeletionTimestamp != nil}
	f.grace = time.Duration(ptr.Deref(pod.DeletionGracePeriodSeconds, 0)) * time.Second
	f.volumesReady = w.kubelet.machine.volumesReady(pod)
	return f
}

func (w *podWorker) await(ctx context.Context, wait time.Duration) {
	var due <-chan time.Time
	if wait != never {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-w.changed:
	case <-due:
	}
}

// post writes the status on the precondition of the pod's UID.
func (w *podWorker) post(ctx context.Context, pod *v1.Pod, rec *record) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID},
		"status":   statusOf(pod, rec, w.kubelet.machine.address()),
	})
	if err != nil {
		return err
	}
	_, err = w.kubelet.machine.client.CoreV1().Pods(pod.Namespace).
		Patch(ctx, pod.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// remove deletes a pod whose containers have ended, as a kubelet does at the
// end.
func (w *podWorker) remove(ctx context.Context, pod *v1.Pod) error {
	return w.kubelet.machine.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: ptr.To[int64](0),
		Preconditions:      &metav1.Preconditions{UID: &pod.UID},
	})
}

// needsNoRetry: the write succeeded, or its object no longer exists.
func needsNoRetry(err error) bool {
	return err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err)
}

func finished(pod *v1.Pod) bool {
	return pod.Status.Phase == v1.PodSucceeded || pod.Status.Phase == v1.PodFailed
}
