package machines

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"junban.dev/testbed/internal/wire"
)

// Power resets a machine like a BMC: it checks neither the bootID nor whether a
// reset is safe. It only refuses the systemUUID of another machine.
func (f *Fleet) Power(request wire.PowerRequest) wire.PowerReply {
	machine := f.byName[request.Node]
	if machine == nil {
		return wire.PowerReply{Exit: wire.ExitNothingStarted, Message: fmt.Sprintf("unknown machine %q", request.Node)}
	}
	if request.SystemUUID != "" && request.SystemUUID != machine.SystemUUID {
		return wire.PowerReply{Exit: wire.ExitNothingStarted, Message: "JUNBAN_SYSTEM_UUID is not the systemUUID of this machine"}
	}
	switch machine.currentFault() {
	case Refuse:
		return wire.PowerReply{Exit: wire.ExitNothingStarted, Message: "the BMC refuses"}
	case PowerLost:
		f.log.write(machine.Name, machine.Status().BootID, "reset", "lost")
		return wire.PowerReply{Exit: wire.ExitStarted}
	case PowerUnknown:
		machine.reset("reset")
		return wire.PowerReply{Exit: wire.ExitUnknown, Message: "the connection to the BMC broke"}
	case PowerKilled:
		machine.reset("reset")
		return wire.PowerReply{Killed: true}
	case PowerHangs:
		machine.reset("reset")
		return wire.PowerReply{Hangs: true}
	}
	machine.reset("reset")
	return wire.PowerReply{Exit: wire.ExitStarted}
}

// powerLog has one JSON line for each power action that reached a machine.
type powerLog struct {
	mu   sync.Mutex
	file *os.File
}

type powerLine struct {
	Time         string `json:"time"`
	Node         string `json:"node"`
	BootIDBefore string `json:"bootIDBefore"`
	Action       string `json:"action"` // "reset" by the power program, "self" by the machine
	Effect       string `json:"effect"` // reset | reset-while-booting | reset-while-down | lost | dead
}

func openPowerLog(path string) (*powerLog, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &powerLog{file: file}, err
}

func (l *powerLog) write(node, bootID, action, effect string) {
	line, err := json.Marshal(powerLine{
		Time: time.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00"),
		Node: node, BootIDBefore: bootID, Action: action, Effect: effect,
	})
	if err != nil {
		panic(err) // marshalling strings cannot fail
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		fmt.Fprintln(os.Stderr, "power log:", err)
	}
}
