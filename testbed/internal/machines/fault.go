package machines

import (
	"fmt"
	"strconv"
	"strings"
)

// FaultKind is a named way to go wrong. testbed/README.md explains each.
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

// needsValue holds the kinds that are written KIND=NUMBER.
var needsValue = map[FaultKind]bool{Slow: true}

var kinds = []FaultKind{
	NeverReturns, SameBootID, NotReady, Slow, PowerLost, Refuse, PowerUnknown, PowerKilled, PowerHangs, Dead,
}

// Fault holds until it is healed or replaced by another.
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
			return Fault{}, fmt.Errorf("fault %q: a number belongs to slow, and to slow only", text)
		}
		fault := Fault{Kind: kind}
		if hasValue {
			value, err := strconv.ParseFloat(number, 64)
			if err != nil || value <= 0 {
				return Fault{}, fmt.Errorf("fault %q: %q is no factor above 0", text, number)
			}
			fault.Value = value
		}
		return fault, nil
	}
	return Fault{}, fmt.Errorf("fault %q is unknown; there are %v", text, kinds)
}

// setFault changes how the machine goes wrong from now on.
func (m *Machine) setFault(fault Fault) {
	m.mu.Lock()
	m.fault = fault
	m.mu.Unlock()
	if fault.Kind == Dead {
		m.die()
	}
	m.poke()
}

// heal takes the fault away; a machine that it kept down boots now.
func (m *Machine) heal() {
	m.mu.Lock()
	m.fault = Fault{}
	if m.state == Down {
		m.bootLocked()
	}
	m.mu.Unlock()
	m.poke()
}

func (m *Machine) currentFault() FaultKind {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fault.Kind
}

// poke lets the kubelet look at its own state again.
func (m *Machine) poke() {
	if kubelet := m.running(); kubelet != nil {
		kubelet.wake()
	}
}
