// The program that powers a simulated machine: what an operator would write
// around a BMC tool, for Junban's `command` driver.
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
		fmt.Fprintln(os.Stderr, "power: --socket and JUNBAN_NODE are needed")
		return wire.ExitNothingStarted
	}
	// Where nobody listens surely nothing is started.
	probe, err := net.Dial("unix", *socket)
	if err != nil {
		fmt.Fprintln(os.Stderr, "power:", err)
		return wire.ExitNothingStarted
	}
	probe.Close()
	var answer wire.PowerReply
	if err := wire.Call(*socket, "POST", "/power", request, &answer); err != nil {
		fmt.Fprintln(os.Stderr, "power:", err)
		return wire.ExitUnknown // it may have reached the machine
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

// hangWhileUp never ends by itself, but does not outlive the testbed either.
func hangWhileUp(socket string) {
	var report struct{}
	for wire.Call(socket, "GET", "/status", nil, &report) == nil {
		time.Sleep(time.Second)
	}
}
