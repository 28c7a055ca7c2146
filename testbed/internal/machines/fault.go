package machines

import (
	"fmt"
	"strconv"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// FaultKind is the name of a fault. testbed/README.md explains each of them.
type FaultKind string

const (
	None         FaultKind = ""
	NeverReturns FaultKind = "never-returns"
	SameBootID   FaultKind = "same-boot-id"
	NotReady     FaultKind = "not-ready"
	Slow         FaultKind = "slow"
	PowerLost    FaultKind = "power-lost"
	Refuse       FaultKind = "refuse"
	PowerUnknown FaultKind = "power-unknown"
	PowerKilled  FaultKind = "power-killed"
	PowerHangs   FaultKind = "power-hangs"
	Dead         FaultKind = "dead"
)

// needsValue lists the kinds that are written KIND=NUMBER.
var needsValue = map[FaultKind]bool{Slow: true}

var kinds = []FaultKind{
	NeverReturns, SameBootID, NotReady, Slow, PowerLost, Refuse, PowerUnknown, PowerKilled, PowerHangs, Dead,
}

// Fault stays until `heal` or another fault.
type Fault struct {
	Kind  FaultKind
	Value float64
}

func (f Fault) String() string {
	if needsValue[f.Kind] {
		return fmt.Sprintf("%s=%g", f.Kind, f.Value)
	}
	return string(f.Kind)
}

// ParseFault reads KIND or KIND=NUMBER.
func ParseFault(text string) (Fault, error) {
	name, number, hasValue := strings.Cut(text, "=")
	for _, kind := range kinds {
		if string(kind) != name {
			continue
		}
		if hasValue != needsValue[kind] {
			return Fault{}, fmt.Errorf("fault %q: `slow` needs a number (slow=3), and no other fault takes one", text)
		}
		fault := Fault{Kind: kind}
		if hasValue {
			value, err := strconv.ParseFloat(number, 64)
			if err != nil || value <= 0 {
				return Fault{}, fmt.Errorf("fault %q: %q: want a number above 0", text, number)
			}
			fault.Value = value
		}
		return fault, nil
	}
	return Fault{}, fmt.Errorf("unknown fault %q; the faults are %v", text, kinds)
}

// setFault replaces the machine's fault.
func (m *Machine) setFault(fault Fault) {
	m.mu.Lock()
	m.fault = fault
	m.mu.Unlock()
	if fault.Kind == Dead {
		m.breakDown()
	}
	m.wakeKubelet()
}

// heal removes the fault. A machine that is down boots now.
func (m *Machine) heal() {
	m.mu.Lock()
	m.fault = Fault{}
	m.nextBoot = bootsWith{}
	if m.kubelet != nil {
		m.kubelet.register.Store(true) // it posts its status anew
	}
	if m.state == Down {
		m.bootLocked()
	}
	m.mu.Unlock()
	m.wakeKubelet()
}

func (m *Machine) currentFault() FaultKind {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fault.Kind
}

// isHealed: nothing is different any more from the next boot on.
func (m *Machine) isHealed() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.nextBoot.resources) == 0
}

// setNextBoot reads NAME=VALUE: `taint=KEY=VALUE:EFFECT`, or a resource with its
// quantity.
func (m *Machine) setNextBoot(text string) error {
	name, value, _ := strings.Cut(text, "=")
	m.mu.Lock()
	defer m.mu.Unlock()
	if name != "taint" {
		quantity, err := resource.ParseQuantity(value)
		if err != nil {
			return fmt.Errorf("next-boot-%s: %w", text, err)
		}
		if m.nextBoot.resources == nil {
			m.nextBoot.resources = v1.ResourceList{}
		}
		m.nextBoot.resources[v1.ResourceName(name)] = quantity
		return nil
	}
	pair, effect, found := strings.Cut(value, ":")
	if !found {
		return fmt.Errorf("next-boot-%s: want taint=KEY=VALUE:EFFECT", text)
	}
	key, value, _ := strings.Cut(pair, "=")
	m.nextBoot.taints = append(m.nextBoot.taints, v1.Taint{Key: key, Value: value, Effect: v1.TaintEffect(effect)})
	return nil
}

// wakeKubelet makes the kubelet compare the Node with its own state at once.
func (m *Machine) wakeKubelet() {
	if kubelet := m.running(); kubelet != nil {
		kubelet.wake()
	}
}
