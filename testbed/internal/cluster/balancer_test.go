package cluster

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// server answers with its name; on /readyz it answers what `ready` says.
func server(t *testing.T, name string, ready *atomic.Bool) (port int, client *http.Client) {
	t.Helper()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && !ready.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, name)
	}))
	t.Cleanup(s.Close)
	address, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err = strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	client = s.Client()
	client.Timeout = time.Second
	client.Transport.(*http.Transport).DisableKeepAlives = true
	return port, client
}

func ask(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		return "error"
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "error"
	}
	return string(body)
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("this did not happen within 10 s: %s", what)
		}
	}
}

func TestBalancer(t *testing.T) {
	var ready [2]atomic.Bool
	ready[0].Store(true)
	ready[1].Store(true)
	a, client := server(t, "a", &ready[0])
	b, _ := server(t, "b", &ready[1])
	balancer, err := NewBalancer(0, a, b)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go balancer.Serve(ctx)
	balancer.Check(ctx, client)

	met := map[string]bool{}
	eventually(t, "both backends are used", func() bool {
		met[ask(t, client, balancer.URL())] = true
		return met["a"] && met["b"]
	})
	ready[0].Store(false)
	eventually(t, "the balancer knows that a is not ready", func() bool { return !balancer.backends[0].ready.Load() })
	for range 10 {
		if got := ask(t, client, balancer.URL()); got != "b" {
			t.Fatalf("answer %q, but only b is ready", got)
		}
	}
	balancer.Freeze(true)
	if got := ask(t, client, balancer.URL()); got != "error" {
		t.Fatalf("answer %q through a frozen balancer", got)
	}
	balancer.Freeze(false)
	eventually(t, "the balancer passes bytes on again", func() bool { return ask(t, client, balancer.URL()) == "b" })
}

func TestTooFewFailedChecksCloseNoConnection(t *testing.T) {
	var fail atomic.Int32
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" && fail.Add(-1) >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	t.Cleanup(s.Close)
	address, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(address.Port())
	if err != nil {
		t.Fatal(err)
	}
	balancer, err := NewBalancer(0, port)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go balancer.Serve(ctx)
	balancer.Check(ctx, s.Client())
	backend := balancer.backends[0]
	eventually(t, "the backend is ready", backend.ready.Load)

	old, err := net.Dial("tcp", balancer.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	broken := make(chan struct{})
	go func() {
		_, _ = old.Read(make([]byte, 1))
		close(broken)
	}()
	fail.Store(failedBeforeDrop - 1)
	eventually(t, "the checks fail", func() bool { return fail.Load() < 0 })
	eventually(t, "the backend is ready again", backend.ready.Load)
	select {
	case <-broken:
		t.Fatal("the balancer closed a connection after too few failed checks")
	default:
	}
	fail.Store(failedBeforeDrop)
	select {
	case <-broken:
	case <-time.After(10 * time.Second):
		t.Fatal("the balancer did not close the connections of a backend that is not ready")
	}
}

func TestPortBlocksDoNotOverlap(t *testing.T) {
	taken := map[int]bool{}
	for range 5 {
		ports, err := TakePorts()
		if err != nil {
			t.Fatal(err)
		}
		for range portsBlock {
			port := ports.Take()
			if taken[port] || port < portFirst || port >= portLast {
				t.Fatalf("port %d", port)
			}
			taken[port] = true
		}
	}
}
