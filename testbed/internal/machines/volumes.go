package machines

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	storage "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// The real attach-detach controller makes and deletes VolumeAttachments. This
// file simulates the other two: the kubelet, which reports the volumes in use,
// and the attacher of the CSI driver, which attaches and detaches.

const attacherFinalizer = "testbed.junban.dev/attacher"

// persistentVolumes returns the volumes of a pod's claims; complete is false
// while one of them is missing.
func (m *Machine) persistentVolumes(pod *v1.Pod) (found []*v1.PersistentVolume, complete bool) {
	for _, volume := range pod.Spec.Volumes {
		name := ""
		switch {
		case volume.PersistentVolumeClaim != nil:
			name = volume.PersistentVolumeClaim.ClaimName
		case volume.Ephemeral != nil:
			name = pod.Name + "-" + volume.Name
		default:
			continue
		}
		claim, err := m.fleet.claims.PersistentVolumeClaims(pod.Namespace).Get(name)
		if err != nil || claim.Spec.VolumeName == "" {
			return found, false
		}
		pv, err := m.fleet.volumes.Get(claim.Spec.VolumeName)
		if err != nil {
			return found, false
		}
		found = append(found, pv)
	}
	return found, true
}

// volumesReady: all volumes of the pod are attached.
func (m *Machine) volumesReady(pod *v1.Pod) bool {
	volumes, complete := m.persistentVolumes(pod)
	if !complete {
		return false
	}
	for _, pv := range volumes {
		if pv.Spec.CSI != nil && !m.attached(uniqueName(pv)) {
			return false
		}
	}
	return true
}

func (m *Machine) attached(volume v1.UniqueVolumeName) bool {
	node, err := m.fleet.nodes.Get(m.Name)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(node.Status.VolumesAttached, func(a v1.AttachedVolume) bool { return a.Name == volume })
}

// volumesInUse lists the volumes of pods whose containers have not ended: the
// controller does not detach them.
func (k *Kubelet) volumesInUse() []v1.UniqueVolumeName {
	inUse := []v1.UniqueVolumeName{}
	for uid, pod := range k.machine.fleet.podsOn(k.machine.Name) {
		if rec, known := k.machine.disk.load(uid); known && rec.stage == exited || finished(pod) {
			continue
		}
		volumes, _ := k.machine.persistentVolumes(pod)
		for _, pv := range volumes {
			if pv.Spec.CSI != nil {
				inUse = append(inUse, uniqueName(pv))
			}
		}
	}
	slices.Sort(inUse)
	return slices.Compact(inUse)
}

func uniqueName(pv *v1.PersistentVolume) v1.UniqueVolumeName {
	return v1.UniqueVolumeName("kubernetes.io/csi/" + pv.Spec.CSI.Driver + "^" + pv.Spec.CSI.VolumeHandle)
}

// startAttacher simulates the external attachers of all CSI drivers.
func (f *Fleet) startAttacher(factory informers.SharedInformerFactory) error {
	var busy sync.Map // attach and detach each VolumeAttachment only once
	handle := func(obj any) {
		attachment, ok := obj.(*storage.VolumeAttachment)
		if !ok {
			return
		}
		work, name := f.attach, "attach "
		switch {
		case attachment.DeletionTimestamp != nil:
			work, name = f.detach, "detach "
		case attachment.Status.Attached:
			return
		}
		if _, running := busy.LoadOrStore(name+string(attachment.UID), true); running {
			return
		}
		go func() {
			for f.ctx.Err() == nil {
				err := work(f.ctx, attachment)
				if needsNoRetry(err) {
					return
				}
				f.report("%s%s: %v", name, attachment.Name, err)
				sleep(f.ctx, retryEvery)
			}
		}()
	}
	_, err := factory.Storage().V1().VolumeAttachments().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    handle,
		UpdateFunc: func(_, obj any) { handle(obj) },
	})
	return err
}

func (f *Fleet) attach(ctx context.Context, attachment *storage.VolumeAttachment) error {
	if err := f.patchAttachment(ctx, attachment, fmt.Sprintf(`{"metadata":{"finalizers":[%q]}}`, attacherFinalizer)); err != nil {
		return err
	}
	sleep(ctx, f.volumeDelay(attachment, attachSeconds, defaultAttach))
	return f.patchAttachment(ctx, attachment, `{"status":{"attached":true}}`, "status")
}

func (f *Fleet) detach(ctx context.Context, attachment *storage.VolumeAttachment) error {
	if !slices.Contains(attachment.Finalizers, attacherFinalizer) {
		return nil
	}
	sleep(ctx, f.volumeDelay(attachment, detachSeconds, defaultDetach))
	return f.patchAttachment(ctx, attachment, `{"metadata":{"finalizers":null}}`)
}

func (f *Fleet) patchAttachment(ctx context.Context, attachment *storage.VolumeAttachment, patch string, sub ...string) error {
	_, err := f.admin.StorageV1().VolumeAttachments().
		Patch(ctx, attachment.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, sub...)
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (f *Fleet) volumeDelay(attachment *storage.VolumeAttachment, key string, otherwise time.Duration) time.Duration {
	if attachment.Spec.Source.PersistentVolumeName == nil {
		return otherwise
	}
	pv, err := f.volumes.Get(*attachment.Spec.Source.PersistentVolumeName)
	if err != nil {
		return otherwise
	}
	delay, err := secondsOf(pv.Annotations, key, otherwise)
	if err != nil {
		f.reportOnce("volume "+pv.Name, err)
	}
	return delay
}
