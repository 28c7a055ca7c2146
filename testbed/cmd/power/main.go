// The power program of the simulated machines. It stands for the program that
// an operator writes around a BMC tool for Junban's `command` driver.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"junban.dev/testbed/internal/wire"
)

func main() { os.Exit(run()) }

func run() int {
	socket := flag.String("socket", "", "the testbed's control socket")
	flag.Parse()
	request := wire.PowerRequest{
		Node:       os.Getenv("JUNBAN_NODE"),
		BootID:     os.Getenv("JUNBAN_BOOT_ID"),
		SystemUUID: os.Getenv("JUNBAN_SYSTEM_UUID"),
		Attempt:    os.Getenv("JUNBAN_ATTEMPT"),
	}
	if *socket == "" || request.Node == "" {
		fmt.Fprintln(os.Stderr, "power: set --socket and JUNBAN_NODE")
		return wire.ExitNothingStarted
	}
	// If the testbed does not listen, it is certain that nothing is started.
	probe, err := net.Dial("unix", *socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "power:", err)
		return wire.ExitNothingStarted
	}
	probe.Close()
	var answer wire.PowerReply
	if err := wire.Call(*socket, "POST", "/power", request, &answer); err != nil {
		fmt.Fprintln(os.Stderr, "power:", err)
		return wire.ExitUnknown // the request may have reached the machine
	}
	if answer.Message != "" {
		fmt.Fprintln(os.Stderr, "power:", answer.Message)
	}
	if answer.Hangs {
		hangWhileUp(*socket)
	}
	if answer.Killed {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return answer.Exit
}

// hangWhileUp returns only when the testbed has ended.
func hangWhileUp(socket string) {
	var report struct{}
	for wire.Call(socket, "GET", "/status", nil, &report) == nil {
		time.Sleep(time.Second)
	}
}
