package machines

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"
)

// PowerRequest is what the power program passes on from its environment.
type PowerRequest struct {
	Node       string `json:"node"`
	BootID     string `json:"bootID"`
	SystemUUID string `json:"systemUUID"`
	Attempt    string `json:"attempt"`
}

// PowerReply tells the power program how to end.
type PowerReply struct {
	Exit    int    `json:"exit"`
	Killed  bool   `json:"killed,omitempty"` // end by SIGKILL
	Hangs   bool   `json:"hangs,omitempty"`  // never end
	Message string `json:"message,omitempty"`
}

// Exit codes of the command driver: 0 started, 75 surely nothing was started,
// anything else is unknown.
const (
	exitStarted        = 0
	exitUnknown        = 1
	exitNothingStarted = 75
)

// Power resets a machine as a BMC does: it asks nobody whether that is wise
// and does not look at the bootID. Only another machine's UUID is refused.
func (f *Fleet) Power(request PowerRequest) PowerReply {
	machine := f.byName[request.Node]
	if machine == nil {
		return PowerReply{Exit: exitNothingStarted, Message: fmt.Sprintf("no machine %q", request.Node)}
	}
	if request.SystemUUID != "" && request.SystemUUID != machine.SystemUUID {
		return PowerReply{Exit: exitNothingStarted, Message: "another machine's systemUUID"}
	}
	switch machine.currentFault() {
	case Refuse:
		return PowerReply{Exit: exitNothingStarted, Message: "the BMC refuses"}
	case PowerLost:
		f.log.write(machine.Name, machine.Status().BootID, "reset", "lost")
		return PowerReply{Exit: exitStarted}
	case PowerUnknown:
		machine.reset("reset")
		return PowerReply{Exit: exitUnknown, Message: "the connection to the BMC broke"}
	case PowerKilled:
		machine.reset("reset")
		return PowerReply{Killed: true}
	case PowerHangs:
		machine.reset("reset")
		return PowerReply{Hangs: true}
	}
	machine.reset("reset")
	return PowerReply{Exit: exitStarted}
}

// powerLog holds the truth about power: one JSON line per action, written by
// the machine that it happened to.
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
		panic(err) // five strings always marshal
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.file.Write(append(line, '\n')); err != nil {
		fmt.Fprintln(os.Stderr, "power log:", err)
	}
}
