package cluster

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// Spawner starts child processes that the kernel kills when this process ends.
// The kernel does so when the *thread* that started them ends, so one thread
// starts all of them and runs as long as this process.
type Spawner struct{ jobs chan spawnJob }

type spawnJob struct {
	cmd  *exec.Cmd
	done chan error
}

func NewSpawner() *Spawner {
	s := &Spawner{jobs: make(chan spawnJob)}
	go func() {
		runtime.LockOSThread()
		for job := range s.jobs {
			job.done <- job.cmd.Start()
		}
	}()
	return s
}

func (s *Spawner) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	done := make(chan error)
	s.jobs <- spawnJob{cmd, done}
	return <-done
}

// Process is one server of the control plane. If it ends by itself, it is
// started again, as a kubelet does with a static pod. After Kill it stays down
// until Start.
type Process struct {
	Name    string
	Args    []string
	LogFile string
	Ports   []int
	spawner *Spawner

	mu       sync.Mutex
	wanted   bool
	cmd      *exec.Cmd
	exited   chan struct{}
	restarts int
}

// restartDelay keeps a server that always fails from restarting in a busy loop.
const restartDelay = time.Second

// Start waits until the ports are free, then starts the program.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wanted = true
	return p.startLocked()
}

func (p *Process) startLocked() error {
	for _, port := range p.Ports {
		if err := waitPortFree(port, 10*time.Second); err != nil {
			return fmt.Errorf("start %s: %w", p.Name, err)
		}
	}
	log, err := os.OpenFile(p.LogFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.Args[0], p.Args[1:]...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := p.spawner.start(cmd); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	exited := make(chan struct{})
	p.cmd, p.exited = cmd, exited
	go func() {
		_ = cmd.Wait()
		close(exited)
		p.afterExit(cmd)
	}()
	return nil
}

func (p *Process) afterExit(cmd *exec.Cmd) {
	time.Sleep(restartDelay)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.wanted || p.cmd != cmd {
		return
	}
	p.restarts++
	if err := p.startLocked(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// Kill ends the program at once, like a power loss, and waits until it has
// ended.
func (p *Process) Kill() {
	p.mu.Lock()
	p.wanted = false
	cmd, exited := p.cmd, p.exited
	p.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill()
	<-exited
}

// ProcessStatus is what `status` shows about a server.
type ProcessStatus struct {
	Name     string `json:"name"`
	PID      int    `json:"pid"` // 0 while it is down
	Restarts int    `json:"restarts"`
}

func (p *Process) Status() ProcessStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	status := ProcessStatus{Name: p.Name, Restarts: p.restarts}
	if p.cmd != nil {
		select {
		case <-p.exited:
		default:
			status.PID = p.cmd.Process.Pid
		}
	}
	return status
}
