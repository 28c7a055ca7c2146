package machines

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

type Options struct {
	BootMin, BootMax time.Duration
	LeaseEvery       time.Duration
	Seed             uint64
	MirrorPods       bool
	PowerLog         string
	Capacity         v1.ResourceList // of each machine
}

// Fleet is all machines. All kubelets read from one set of informers, so there
// is one watch for each kind and not for each machine. Each kubelet writes with
// the credentials of its own node.
type Fleet struct {
	options  Options
	ctx      context.Context
	log      *powerLog
	byName   map[string]*Machine
	names    []string
	reported sync.Map

	admin   kubernetes.Interface
	pods    cache.Indexer
	nodes   corelisters.NodeLister
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
}

const (
	byNode = "node"
	byUID  = "uid"
)

// NewFleet starts the informers as an administrator.
func NewFleet(ctx context.Context, admin kubernetes.Interface, options Options) (*Fleet, error) {
	log, err := openPowerLog(options.PowerLog)
	if err != nil {
		return nil, err
	}
	f := &Fleet{options: options, ctx: ctx, log: log, admin: admin, byName: map[string]*Machine{}}
	factory := informers.NewSharedInformerFactory(admin, 0)
	podInformer := factory.Core().V1().Pods().Informer()
	if err := podInformer.AddIndexers(cache.Indexers{byNode: podNode, byUID: podUID}); err != nil {
		return nil, err
	}
	if _, err := podInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { f.podChanged(obj) },
		UpdateFunc: func(_, obj any) { f.podChanged(obj) },
		DeleteFunc: func(obj any) { f.podChanged(obj) },
	}); err != nil {
		return nil, err
	}
	f.pods = podInformer.GetIndexer()
	f.nodes = factory.Core().V1().Nodes().Lister()
	f.claims = factory.Core().V1().PersistentVolumeClaims().Lister()
	f.volumes = factory.Core().V1().PersistentVolumes().Lister()
	nodeInformer := factory.Core().V1().Nodes().Informer()
	if _, err := nodeInformer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, obj any) { f.nodeChanged(obj) },
		DeleteFunc: func(obj any) { f.nodeChanged(obj) },
	}); err != nil {
		return nil, err
	}
	if err := f.startAttacher(factory); err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	factory.WaitForCacheSync(ctx.Done())
	return f, ctx.Err()
}

// Add adds a machine. It stays off until PowerOn.
func (f *Fleet) Add(name, rack string, client kubernetes.Interface, controlPlane bool, hooks Hooks) {
	machine := newMachine(f, name, rack, len(f.names)+1, client)
	machine.ControlPlane, machine.hooks = controlPlane, hooks
	f.byName[name] = machine
	f.names = append(f.names, name)
}

// PowerOn starts all machines at once and without boot time: the testbed starts
// with a running cluster. A machine with the fault `dead` starts as well, so
// that its Node exists; ApplyLateFaults breaks it down later.
func (f *Fleet) PowerOn(faults map[string]Fault) error {
	for name := range faults {
		if f.byName[name] == nil {
			return fmt.Errorf("--fault %s: this machine does not exist", name)
		}
	}
	for _, name := range f.names {
		machine := f.byName[name]
		if fault := faults[name]; fault.Kind != Dead && fault.Kind != NotReady {
			machine.fault = fault
		}
		hooks := machine.hooks
		machine.hooks = Hooks{} // its servers are already running
		machine.cameUp(machine.powerActions)
		machine.hooks = hooks
	}
	return nil
}

// ApplyLateFaults sets the faults that need a running cluster.
func (f *Fleet) ApplyLateFaults(faults map[string]Fault) {
	for name, fault := range faults {
		if fault.Kind == Dead || fault.Kind == NotReady {
			f.byName[name].setFault(fault)
		}
	}
}

// Command handles `testbed machine NODE COMMAND`.
func (f *Fleet) Command(name, command string) (Status, error) {
	machine := f.byName[name]
	if machine == nil {
		return Status{}, fmt.Errorf("unknown machine %q; the machines are %s", name, strings.Join(f.names, ", "))
	}
	if what, found := strings.CutPrefix(command, "next-boot-"); found {
		return machine.Status(), machine.setNextBoot(what)
	}
	switch command {
	case "status":
	case "reboot":
		machine.reset("self")
	case "heal":
		machine.heal()
	case "register":
		if kubelet := machine.running(); kubelet != nil {
			kubelet.register.Store(true)
			kubelet.wake()
		}
	default:
		fault, err := ParseFault(command)
		if err != nil {
			return Status{}, fmt.Errorf("%w; the other commands are reboot, heal, register, status, next-boot-RESOURCE=QUANTITY and next-boot-taint=KEY=VALUE:EFFECT", err)
		}
		machine.setFault(fault)
	}
	return machine.Status(), nil
}

// Statuses lists the machines in the order in which they were added.
func (f *Fleet) Statuses() []Status {
	all := make([]Status, 0, len(f.names))
	for _, name := range f.names {
		all = append(all, f.byName[name].Status())
	}
	return all
}

// Names of all machines.
func (f *Fleet) Names() []string { return slices.Clone(f.names) }

func (f *Fleet) podChanged(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	pod, ok := obj.(*v1.Pod)
	if !ok {
		return
	}
	if machine := f.byName[pod.Spec.NodeName]; machine != nil {
		if kubelet := machine.running(); kubelet != nil {
			kubelet.podChanged(string(pod.UID))
		}
	}
}

func (f *Fleet) nodeChanged(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	if node, ok := obj.(*v1.Node); ok {
		if machine := f.byName[node.Name]; machine != nil {
			machine.wakeKubelet()
		}
	}
}

// podsOn returns the pods that are bound to a node, by UID.
func (f *Fleet) podsOn(node string) map[string]*v1.Pod {
	found := map[string]*v1.Pod{}
	objects, err := f.pods.ByIndex(byNode, node)
	if err != nil {
		f.report("pods of %s: %v", node, err)
	}
	for _, obj := range objects {
		if pod, ok := obj.(*v1.Pod); ok {
			found[string(pod.UID)] = pod
		}
	}
	return found
}

// pod finds a pod by its UID; nil if it does not exist.
func (f *Fleet) pod(uid string) *v1.Pod {
	objects, err := f.pods.ByIndex(byUID, uid)
	if err != nil || len(objects) == 0 {
		return nil
	}
	pod, _ := objects[0].(*v1.Pod)
	return pod
}

func (f *Fleet) report(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().UTC().Format("15:04:05.000 ")+format+"\n", args...)
}

// reportOnce reports an error only the first time, because the caller would
// find it again and again.
func (f *Fleet) reportOnce(where string, err error) {
	if _, reported := f.reported.LoadOrStore(where+err.Error(), true); !reported {
		f.report("%s: %v", where, err)
	}
}

func podUID(obj any) ([]string, error) {
	if pod, ok := obj.(*v1.Pod); ok {
		return []string{string(pod.UID)}, nil
	}
	return nil, nil
}

func podNode(obj any) ([]string, error) {
	if pod, ok := obj.(*v1.Pod); ok && pod.Spec.NodeName != "" {
		return []string{pod.Spec.NodeName}, nil
	}
	return nil, nil
}
