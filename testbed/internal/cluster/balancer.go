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

// checkEvery is the time between two checks of a backend's /readyz. A backend
// whose check fails gets no new connection.
const checkEvery = 300 * time.Millisecond

// failedBeforeDrop is the number of checks in a row that must fail before the
// balancer closes a backend's connections. One failed check is not enough: on a
// loaded machine a healthy API server may answer too late, and closing its
// connections adds load. A backend that ends closes its connections by itself.
const failedBeforeDrop = 3

// Balancer distributes TCP connections over the ready API servers. It passes
// bytes on unread: TLS ends at the API server.
type Balancer struct {
	listener net.Listener
	backends []*backend
	next     atomic.Uint64
	frozen   atomic.Bool // drop all bytes

	mu    sync.Mutex
	conns map[net.Conn]*backend
}

type backend struct {
	address string
	ready   atomic.Bool
}

// NewBalancer listens at once. No backend is ready before Check has run.
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

func (b *Balancer) URL() string { return "https://" + b.listener.Addr().String() }

// Freeze makes the balancer drop every byte in both directions without closing
// a connection, like a firewall that lost its state.
func (b *Balancer) Freeze(on bool) { b.frozen.Store(on) }

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
		go b.forward(client)
	}
}

// Check checks the readiness of every backend until ctx ends.
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

// dropConnections closes a backend's connections, so that no client waits for a
// server that does not answer.
func (b *Balancer) dropConnections(dead *backend) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for conn, backend := range b.conns {
		if backend == dead {
			conn.Close()
		}
	}
}

func (b *Balancer) forward(client net.Conn) {
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
	go b.copyBytes(server, client, done)
	go b.copyBytes(client, server, done)
	<-done
}

// connect tries the ready backends in turn, then the other ones: in a cluster
// that has just started, no check may have run yet.
func (b *Balancer) connect() (net.Conn, *backend) {
	first := int(b.next.Add(1))
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

func (b *Balancer) copyBytes(to, from net.Conn, done chan<- struct{}) {
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
