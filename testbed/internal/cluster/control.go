package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"junban.dev/testbed/internal/machines"
	"junban.dev/testbed/internal/wire"
)

type StatusReport struct {
	Info      Info              `json:"testbed"`
	Processes []ProcessStatus   `json:"processes"`
	Machines  []machines.Status `json:"machines"`
}

// serveControl answers on a unix socket that only this user can open.
func (c *Cluster) serveControl(ctx context.Context, path string) error {
	_ = os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { reply(w, c.status(), nil) })
	mux.HandleFunc("POST /down", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, "the testbed is ending", nil)
		time.AfterFunc(100*time.Millisecond, c.end) // after this answer is sent
	})
	mux.HandleFunc("POST /power", func(w http.ResponseWriter, r *http.Request) {
		var request wire.PowerRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			reply(w, nil, err)
			return
		}
		reply(w, c.fleet.Power(request), nil)
	})
	mux.HandleFunc("POST /machines/{name}/{command}", func(w http.ResponseWriter, r *http.Request) {
		status, err := c.fleet.Command(r.PathValue("name"), r.PathValue("command"))
		reply(w, status, err)
	})
	mux.HandleFunc("POST /proxy/{state}", func(w http.ResponseWriter, r *http.Request) {
		state := r.PathValue("state")
		if state != "freeze" && state != "thaw" {
			reply(w, nil, fmt.Errorf("proxy command %q: want freeze or thaw", state))
			return
		}
		c.proxy.Freeze(state == "freeze")
		reply(w, state, nil)
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	go func() { _ = server.Serve(listener) }()
	return nil
}

func (c *Cluster) status() StatusReport {
	report := StatusReport{Info: c.Info(), Machines: c.fleet.Statuses()}
	for _, process := range c.processes() {
		report.Processes = append(report.Processes, process.Status())
	}
	return report
}

func reply(w http.ResponseWriter, value any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}
