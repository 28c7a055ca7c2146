package cluster

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// The ports are below the kernel's ephemeral range (32768 and up): else an
// outgoing connection could take the port of a control plane that is rebooting.
// A file lock for each block keeps testbeds from taking the same ports. The
// kernel frees the lock when its testbed ends.
const (
	portFirst  = 20000
	portLast   = 32000
	portsBlock = 20
)

type Ports struct {
	next, end int
	lock      *os.File
}

// TakePorts finds a block that no other testbed has locked and on which no
// process listens.
func TakePorts() (*Ports, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("junban-testbed-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for range 200 {
		first := portFirst + portsBlock*rand.IntN((portLast-portFirst)/portsBlock)
		lock, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(first)), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil && blockFree(first) {
			return &Ports{next: first, end: first + portsBlock, lock: lock}, nil
		}
		lock.Close()
	}
	return nil, fmt.Errorf("no free block of %d ports between %d and %d", portsBlock, portFirst, portLast)
}

func (p *Ports) Take() int {
	if p.next == p.end {
		panic("testbed: portsBlock is too small for one cluster")
	}
	p.next++
	return p.next - 1
}

func blockFree(first int) bool {
	for port := first; port < first+portsBlock; port++ {
		if !portFree(port) {
			return false
		}
	}
	return true
}

func portFree(port int) bool {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	listener.Close()
	return true
}

// waitPortFree waits until the port of a server that has ended is free again.
func waitPortFree(port int, timeout time.Duration) error {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if portFree(port) {
			return nil
		}
	}
	return fmt.Errorf("port %d is still in use after %s", port, timeout)
}
