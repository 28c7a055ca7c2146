// Package machines simulates servers and the kubelets on them: power, boots,
// Leases, node status, pods and volume attachments. It talks to a real API
// server with each node's own credentials. It must not know how that API
// server was started.
package machines

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/client-go/kubernetes"
)

// State is what a person in front of the rack would see.
type State string

const (
	Up      State = "up"
	Booting State = "booting"
	Down    State = "down" // and will not come back by itself
)

// Hooks are the servers that live and die with a machine: the control plane's.
type Hooks struct {
	Stop  func()
	Start func() error
}

// Machine is one simulated server. Its zero state is "powered off".
type Machine struct {
	Name         string
	SystemUUID   string
	Rack         string
	ControlPlane bool

	fleet  *Fleet
	client kubernetes.Interface // the node's own credentials
	hooks  Hooks
	index  int

	mu      sync.Mutex
	random  *rand.Rand
	state   State
	bootID  string
	boots   int
	fault   Fault
	turn    int // counts power actions: a boot that was overtaken does not finish
	stop    context.CancelFunc
	kubelet *Kubelet
	disk    *disk // what survives a boot
}

// Status is what `testbed status` and the control socket show.
type Status struct {
	Name       string `json:"name"`
	SystemUUID string `json:"systemUUID"`
	State      State  `json:"state"`
	BootID     string `json:"bootID"`
	Boots      int    `json:"boots"`
	Fault      string `json:"fault,omitempty"`
}

func newMachine(fleet *Fleet, name, rack string, index int, client kubernetes.Interface) *Machine {
	// A stream of its own per machine: one more machine, or one more boot of
	// another, changes no draw of this one.
	digest := sha256.Sum256(fmt.Appendf(nil, "%d/%s", fleet.options.Seed, name))
	random := rand.New(rand.NewChaCha8(digest))
	return &Machine{
		Name: name, Rack: rack, index: index, fleet: fleet, client: client,
		random: random, SystemUUID: randomUUID(random), state: Down, disk: newDisk(),
	}
}

// Status is a snapshot.
func (m *Machine) Status() Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	return Status{
		Name: m.Name, SystemUUID: m.SystemUUID, State: m.state,
		BootID: m.bootID, Boots: m.boots, Fault: m.fault.String(),
	}
}

// reset takes the machine down now and, unless a fault holds it, up again
// after its boot time. The log line is written before anything else happens,
// by the machine and not by whoever asked.
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

// die is a machine that breaks: off, without a way back but `heal`.
func (m *Machine) die() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fleet.log.write(m.Name, m.bootID, "self", "dead")
	m.powerOffLocked()
}

func (m *Machine) powerOffLocked() {
	m.turn++
	if m.stop != nil {
		m.stop()
		m.stop, m.kubelet = nil, nil
	}
	if m.hooks.Stop != nil {
		m.hooks.Stop()
	}
	m.state = Down
}

// bootLocked begins a boot; it ends in cameUp.
func (m *Machine) bootLocked() {
	m.state = Booting
	turn := m.turn
	time.AfterFunc(m.bootTimeLocked(), func() { m.cameUp(turn) })
}

func (m *Machine) bootTimeLocked() time.Duration {
	low, high := m.fleet.options.BootMin, m.fleet.options.BootMax
	took := low + time.Duration(m.random.Float64()*float64(high-low))
	if m.fault.Kind == Slow {
		took = time.Duration(float64(took) * m.fault.Value)
	}
	return took
}

func (m *Machine) cameUp(turn int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.turn != turn || m.fleet.ctx.Err() != nil {
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
	m.kubelet.run(ctx)
}

// running is the kubelet of the current boot, or nil.
func (m *Machine) running() *Kubelet {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.kubelet
}

// between draws a duration from the machine's own stream.
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
