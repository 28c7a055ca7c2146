// Package wire is what travels over a testbed's control socket. It imports
// nothing but the standard library, so that the power program starts in
// milliseconds: thirty at once must not slow down what they are to measure.
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

// Exit codes of the command driver: anything but these two is unknown too.
const (
	ExitStarted        = 0
	ExitUnknown        = 1
	ExitNothingStarted = 75
)

// Call sends one request to a control socket and decodes the answer.
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
