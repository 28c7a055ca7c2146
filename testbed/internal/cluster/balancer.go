package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often a backend's /readyz is asked: one that fails gets no
// new connection.
const checkEvery = 300 * time.Millisecond

// failedBeforeDrop is how many checks in a row must fail before a backend's old
// connections break. One is no sign of death: on a loaded machine a healthy API
// server may need longer than the check waits, and breaking everything that it
// serves made matters worse. What dies breaks its connections itself.
const failedBeforeDrop = 3

// Balancer spreads TCP connections over the API servers that are ready. It
// never looks inside: TLS ends at the API server.
type Balancer struct {
	listener net.Listener
	backends []*backend
	turn     atomic.Uint64
	frozen   atomic.Bool // swallow bytes instead of passing them on

	mu    sync.Mutex
	conns map[net.Conn]*backend
}

type backend struct {
	address string
	ready   atomic.Bool
}

// NewBalancer listens at once; it has no ready backend until Check has run.
func NewBalancer(port int, backends ...int) (*Balancer, error) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, err
	}
	b := &Balancer{listener: listener, conns: map[net.Conn]*backend{}}
	for _, port := range backends {
		b.backends = append(b.backends, &backend{address: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	return b, nil
}

// URL is where clients connect to.
func (b *Balancer) URL() string { return "https://" + b.listener.Addr().String() }

// Freeze makes the balancer swallow every byte in both directions without
// closing anything, as a firewall that lost its state does.
func (b *Balancer) Freeze(on bool) { b.frozen.Store(on) }

// Serve accepts until ctx ends.
func (b *Balancer) Serve(ctx context.Context) {
	go func() {
		<-ctx.Done()
		b.listener.Close()
	}()
	for {
		client, err := b.listener.Accept()
		if err != nil {
			return
		}
		go b.carry(client)
	}
}

// Check asks every backend for its readiness until ctx ends.
func (b *Balancer) Check(ctx context.Context, client *http.Client) {
	for _, backend := range b.backends {
		go func() {
			failed := 0
			for ctx.Err() == nil {
				ready := readyz(ctx, client, "https://"+backend.address)
				backend.ready.Store(ready)
				if failed++; ready {
					failed = 0
				}
				if failed == failedBeforeDrop {
					b.dropConnections(backend)
				}
				select {
				case <-ctx.Done():
				case <-time.After(checkEvery):
				}
			}
		}()
	}
}

// dropConnections ends what is left of a backend's connections, so that no
// client waits for a server that will not answer.
func (b *Balancer) dropConnections(dead *backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn, backend := range b.conns {
		if backend == dead {
			conn.Close()
		}
	}
}

func (b *Balancer) carry(client net.Conn) {
	defer client.Close()
	server, backend := b.connect()
	if server == nil {
		return
	}
	defer server.Close()
	b.mu.Lock()
	b.conns[server] = backend
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		delete(b.conns, server)
		b.mu.Unlock()
	}()
	done := make(chan struct{}, 2)
	go b.pump(server, client, done)
	go b.pump(client, server, done)
	<-done
}

// connect tries the ready backends in turn, then, so that a cluster that has
// just started is not kept waiting for a check, the others.
func (b *Balancer) connect() (net.Conn, *backend) {
	first := int(b.turn.Add(1))
	for _, ready := range []bool{true, false} {
		for i := range b.backends {
			backend := b.backends[(first+i)%len(b.backends)]
			if backend.ready.Load() != ready {
				continue
			}
			if conn, err := net.DialTimeout("tcp", backend.address, time.Second); err == nil {
				return conn, backend
			}
		}
	}
	return nil, nil
}

func (b *Balancer) pump(to, from net.Conn, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	buffer := make([]byte, 32*1024)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !b.frozen.Load() {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func readyz(ctx context.Context, client *http.Client, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body)
	return response.StatusCode == http.StatusOK
}
