// Package machines simulates servers and their kubelets: power, boots, Leases,
// node status, pods and volume attachments. It uses a real API server with the
// credentials of each node. It must not know how the API server was started.
package machines

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

type State string

const (
	Up      State = "up"
	Booting State = "booting"
	Down    State = "down" // and not booting
)

// Hooks stop and start the control-plane servers on a machine with the machine.
type Hooks struct {
	Stop  func()
	Start func() error
}

type Machine struct {
	Name         string
	SystemUUID   string
	Rack         string
	ControlPlane bool

	fleet  *Fleet
	client kubernetes.Interface // the node's own credentials
	hooks  Hooks
	index  int

	mu           sync.Mutex
	random       *rand.Rand
	state        State
	bootID       string
	boots        int
	fault        Fault
	powerActions int // a boot does not finish if this has changed since it began
	stop         context.CancelFunc
	kubelet      *Kubelet
	disk         *disk // what survives a boot
	nextBoot     bootsWith
}

// bootsWith is what is different from the machine's next boot on.
type bootsWith struct {
	resources v1.ResourceList
	taints    []v1.Taint // an agent adds them to the Node after each boot
}

// Status is what `testbed status` shows about a machine.
type Status struct {
	Name       string `json:"name"`
	SystemUUID string `json:"systemUUID"`
	State      State  `json:"state"`
	BootID     string `json:"bootID"`
	Boots      int    `json:"boots"`
	Fault      string `json:"fault,omitempty"`
}

func newMachine(fleet *Fleet, name, rack string, index int, client kubernetes.Interface) *Machine {
	// Each machine has its own random numbers: a change of another machine does
	// not change them.
	digest := sha256.Sum256(fmt.Appendf(nil, "%d/%s", fleet.options.Seed, name))
	random := rand.New(rand.NewChaCha8(digest))
	return &Machine{
		Name: name, Rack: rack, index: index, fleet: fleet, client: client,
		random: random, SystemUUID: randomUUID(random), state: Down, disk: newDisk(),
	}
}

func (m *Machine) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Status{
		Name: m.Name, SystemUUID: m.SystemUUID, State: m.state,
		BootID: m.bootID, Boots: m.boots, Fault: m.fault.String(),
	}
}

// reset takes the machine down and boots it, unless a fault keeps it down. It
// writes the power log before anything else happens.
func (m *Machine) reset(action string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	effect := "reset"
	if m.state != Up {
		effect = "reset-while-" + string(m.state)
	}
	m.fleet.log.write(m.Name, m.bootID, action, effect)
	m.powerOffLocked()
	if m.fault.Kind != NeverReturns && m.fault.Kind != Dead {
		m.bootLocked()
	}
}

// breakDown takes the machine down until `heal`.
func (m *Machine) breakDown() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fleet.log.write(m.Name, m.bootID, "self", "dead")
	m.powerOffLocked()
}

func (m *Machine) powerOffLocked() {
	m.powerActions++
	if m.stop != nil {
		m.stop()
		m.stop, m.kubelet = nil, nil
	}
	if m.hooks.Stop != nil {
		m.hooks.Stop()
	}
	m.state = Down
}

// bootLocked begins a boot; cameUp ends it.
func (m *Machine) bootLocked() {
	m.state = Booting
	began := m.powerActions
	time.AfterFunc(m.bootTimeLocked(), func() { m.cameUp(began) })
}

func (m *Machine) bootTimeLocked() time.Duration {
	low, high := m.fleet.options.BootMin, m.fleet.options.BootMax
	took := low + time.Duration(m.random.Float64()*float64(high-low))
	if m.fault.Kind == Slow {
		took = time.Duration(float64(took) * m.fault.Value)
	}
	return took
}

func (m *Machine) cameUp(powerActions int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.powerActions != powerActions || m.fleet.ctx.Err() != nil {
		return
	}
	if m.hooks.Start != nil {
		if err := m.hooks.Start(); err != nil {
			m.fleet.report("%s: %v", m.Name, err)
		}
	}
	if m.bootID == "" || m.fault.Kind != SameBootID {
		m.bootID = randomUUID(m.random)
	}
	m.boots++
	m.state = Up
	ctx, stop := context.WithCancel(m.fleet.ctx)
	m.stop = stop
	m.kubelet = newKubelet(m, m.bootID)
	m.kubelet.notReady = m.fault.Kind == NotReady
	m.kubelet.with = bootsWith{maps.Clone(m.nextBoot.resources), slices.Clone(m.nextBoot.taints)}
	m.kubelet.run(ctx)
}

// running returns the kubelet of the current boot, or nil.
func (m *Machine) running() *Kubelet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kubelet
}

// between draws a duration from the machine's own random numbers.
func (m *Machine) between(low, high time.Duration) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return low + time.Duration(m.random.Float64()*float64(high-low))
}

func randomUUID(random *rand.Rand) string {
	a, b := random.Uint64(), random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x",
		a>>32, a>>16&0xffff, a&0xfff, b>>48&0xfff, b&0xffffffffffff)
}
