package machines

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	coordination "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

const (
	kubeletVersion = "v1.37.2"
	retryEvery     = 500 * time.Millisecond
	// A real kubelet posts an unchanged status every 5 minutes.
	statusEvery = 5 * time.Minute
	// How often the kubelet compares the API's Node with its own state. It also
	// does so on every change of the Node.
	compareEvery = 2 * time.Second
	// Real kubelets write this value; the testbed does not read it.
	leaseDurationSeconds = 40
)

// After a boot the API shows the old pod statuses for this time after the new
// bootID. These times were measured on real kubelets.
const (
	staleStatusMin = 200 * time.Millisecond
	staleStatusMax = 600 * time.Millisecond
)

// Kubelet is the kubelet of one boot, and it ends with the boot. The machine's
// disk keeps what the next kubelet must know.
type Kubelet struct {
	machine  *Machine
	bootID   string
	wakeup   chan struct{}
	register atomic.Bool
	notReady bool // this boot began with the fault not-ready
	with     bootsWith

	mu      sync.Mutex
	ctx     context.Context
	ready   bool // the first status of this boot is written, so pods may start
	workers map[string]*podWorker
}

func newKubelet(m *Machine, bootID string) *Kubelet {
	k := &Kubelet{machine: m, bootID: bootID, wakeup: make(chan struct{}, 1), workers: map[string]*podWorker{}}
	k.register.Store(true)
	return k
}

// returnedNotReady: this boot began with the fault not-ready, and nobody has
// healed it yet.
func (k *Kubelet) returnedNotReady() bool {
	return k.notReady && k.machine.currentFault() == NotReady
}

// run returns at once. What it starts ends with ctx.
func (k *Kubelet) run(ctx context.Context) {
	k.ctx = ctx
	go k.keepStatus(ctx)
	go k.keepLease(ctx)
}

func (k *Kubelet) wake() {
	select {
	case k.wakeup <- struct{}{}:
	default:
	}
}

// keepStatus registers the Node and keeps its status up to date.
func (k *Kubelet) keepStatus(ctx context.Context) {
	var posted time.Time
	for ctx.Err() == nil {
		wait := compareEvery
		if k.register.Load() {
			if err := k.registerNode(ctx); err != nil {
				k.reportError(ctx, "register", err)
				sleep(ctx, retryEvery)
				continue
			}
			k.register.Store(false)
			posted = time.Time{}
		}
		node, err := k.machine.fleet.nodes.Get(k.machine.Name)
		switch {
		case err != nil && posted.IsZero():
			wait = 50 * time.Millisecond // the watch does not show the new Node yet
		case err != nil: // somebody deleted the Node: a running kubelet does not register it again
		case k.differs(node) || time.Since(posted) > statusEvery:
			if err := k.addTaints(ctx, node); err != nil {
				k.reportError(ctx, "taints", err)
				wait = retryEvery
				break
			}
			if err := k.postStatus(ctx, node); err != nil {
				k.reportError(ctx, "node status", err)
				wait = retryEvery
				break
			}
			posted = time.Now()
			k.startPods()
			// Wait until the watch shows this status; else it would be posted twice.
			sleep(ctx, 300*time.Millisecond)
		}
		select {
		case <-ctx.Done():
		case <-k.wakeup:
		case <-time.After(wait):
		}
	}
}

func (k *Kubelet) registerNode(ctx context.Context) error {
	m := k.machine
	if _, err := m.client.CoreV1().Nodes().Get(ctx, m.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		return err
	}
	node := &v1.Node{ObjectMeta: metav1.ObjectMeta{
		Name: m.Name,
		Labels: map[string]string{
			v1.LabelHostname: m.Name, v1.LabelOSStable: "linux", v1.LabelArchStable: "amd64",
			v1.LabelTopologyZone: m.Rack, "role": "worker",
		},
		// Without this annotation the attach-detach controller leaves the volumes to
		// the kubelet.
		Annotations: map[string]string{"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
	}}
	if m.ControlPlane {
		node.Labels["role"] = "control-plane"
		node.Spec.Taints = []v1.Taint{{Key: controlPlaneLabel, Effect: v1.TaintEffectNoSchedule}}
	}
	if _, err := m.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	if m.ControlPlane {
		return m.fleet.labelControlPlane(ctx, m.Name)
	}
	return nil
}

func (k *Kubelet) reportError(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		k.machine.fleet.report("%s: %s: %v", k.machine.Name, what, err)
	}
}

// keepLease renews the node's Lease while the machine runs.
func (k *Kubelet) keepLease(ctx context.Context) {
	var lease *coordination.Lease
	for ctx.Err() == nil {
		renewed, err := k.renewLease(ctx, lease)
		lease = renewed
		wait := k.machine.fleet.options.LeaseEvery
		if err != nil {
			wait = retryEvery
		}
		sleep(ctx, wait)
	}
}

// renewLease returns the written Lease, or nil if the next call must read it
// first.
func (k *Kubelet) renewLease(ctx context.Context, last *coordination.Lease) (*coordination.Lease, error) {
	name := k.machine.Name
	leases := k.machine.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	now := ptr.To(metav1.NowMicro())
	if last == nil {
		found, err := leases.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return k.createLease(ctx, now)
		}
		if err != nil {
			return nil, err
		}
		last = found
	}
	last = last.DeepCopy()
	last.Spec.RenewTime = now
	updated, err := leases.Update(ctx, last, metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return updated, nil
}

func (k *Kubelet) createLease(ctx context.Context, now *metav1.MicroTime) (*coordination.Lease, error) {
	name := k.machine.Name
	node, err := k.machine.fleet.nodes.Get(name)
	if err != nil {
		return nil, err // the Node owns the Lease, so it must exist first
	}
	lease := &coordination.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: []metav1.OwnerReference{nodeOwner(node)}},
		Spec: coordination.LeaseSpec{
			HolderIdentity: &name, LeaseDurationSeconds: ptr.To[int32](leaseDurationSeconds), RenewTime: now,
		},
	}
	created, err := k.machine.client.CoordinationV1().Leases(v1.NamespaceNodeLease).Create(ctx, lease, metav1.CreateOptions{})
	if err != nil {
		return nil, err
	}
	return created, nil
}

func nodeOwner(node *v1.Node) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Node", Name: node.Name, UID: node.UID}
}

// startPods starts the pods of this boot; it does so only once.
func (k *Kubelet) startPods() {
	k.mu.Lock()
	first := !k.ready && !k.returnedNotReady()
	k.ready = k.ready || first
	k.mu.Unlock()
	if !first {
		return
	}
	bound := k.machine.fleet.podsOn(k.machine.Name)
	k.machine.disk.keepOnly(bound)
	for uid := range bound {
		k.podChanged(uid)
	}
	if k.machine.fleet.options.MirrorPods || k.machine.ControlPlane {
		go k.keepMirrorPods(k.ctx)
	}
}

// podChanged wakes the pod's worker, and starts one if the pod has none.
func (k *Kubelet) podChanged(uid string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ready || k.ctx.Err() != nil {
		return
	}
	worker := k.workers[uid]
	if worker == nil {
		if k.machine.fleet.pod(uid) == nil {
			return
		}
		worker = newPodWorker(k, uid)
		k.workers[uid] = worker
		go func() {
			worker.run(k.ctx)
			k.mu.Lock()
			delete(k.workers, uid)
			k.mu.Unlock()
		}()
	}
	worker.wake()
}

// address is an invented InternalIP: nobody connects to it.
func (m *Machine) address() string {
	return fmt.Sprintf("10.200.%d.%d", m.index/250, m.index%250+1)
}

func (m *Machine) machineID() string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(m.SystemUUID)))[:32]
}

func sleep(ctx context.Context, wait time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}
