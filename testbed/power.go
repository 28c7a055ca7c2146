package main

import (
	"flag"
	"fmt"
	"os"
	"syscall"
	"time"

	"junban.dev/testbed/internal/cluster"
	"junban.dev/testbed/internal/machines"
)

// nothingStarted is the exit code by which the `command` driver knows that
// surely no power action was begun.
const nothingStarted = 75

// runPower is the program that an operator would write around a BMC tool.
func runPower(args []string) int {
	set := flag.NewFlagSet("power", flag.ExitOnError)
	socket := set.String("socket", "", "the testbed's control socket")
	if err := set.Parse(args); err != nil {
		return nothingStarted
	}
	request := machines.PowerRequest{
		Node:       os.Getenv("JUNBAN_NODE"),
		BootID:     os.Getenv("JUNBAN_BOOT_ID"),
		SystemUUID: os.Getenv("JUNBAN_SYSTEM_UUID"),
		Attempt:    os.Getenv("JUNBAN_ATTEMPT"),
	}
	if *socket == "" || request.Node == "" {
		fmt.Fprintln(os.Stderr, "power: --socket and JUNBAN_NODE are needed")
		return nothingStarted
	}
	if _, err := os.Stat(*socket); err != nil {
		fmt.Fprintln(os.Stderr, "power:", err)
		return nothingStarted
	}
	var answer machines.PowerReply
	if err := cluster.Call(*socket, "POST", "/power", request, &answer); err != nil {
		fmt.Fprintln(os.Stderr, "power:", err)
		return 1 // it may have reached the machine
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
	var report cluster.StatusReport
	for cluster.Call(socket, "GET", "/status", nil, &report) == nil {
		time.Sleep(time.Second)
	}
}
