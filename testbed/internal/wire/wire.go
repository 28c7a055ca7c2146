// Package wire defines the requests on a testbed's control socket. It imports
// only the standard library, so that the power program starts in milliseconds:
// tests start thirty of them at once and measure how long the reboots take.
package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// PowerRequest holds the environment variables of the power program.
type PowerRequest struct {
	Node       string `json:"node"`
	BootID     string `json:"bootID"`
	SystemUUID string `json:"systemUUID"`
	Attempt    string `json:"attempt"`
}

// PowerReply says how the power program has to end.
type PowerReply struct {
	Exit    int    `json:"exit"`
	Killed  bool   `json:"killed,omitempty"` // end by SIGKILL
	Hangs   bool   `json:"hangs,omitempty"`  // never end
	Message string `json:"message,omitempty"`
}

// Exit codes of the command driver. Every other exit code means unknown as
// well.
const (
	ExitStarted        = 0
	ExitUnknown        = 1
	ExitNothingStarted = 75
)

func Call(socket, method, path string, body, answer any) error {
	client := &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}},
	}
	payload, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(method, "http://testbed"+path, bytes.NewReader(payload))
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return fmt.Errorf("%s", bytes.TrimSpace(text))
	}
	return json.NewDecoder(response.Body).Decode(answer)
}
