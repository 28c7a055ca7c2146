package machines

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// stage of a pod's containers.
type stage int

const (
	waiting stage = iota // for volumes
	starting
	running
	exited // for good
)

// Exit codes of a container that SIGKILL ended, and of one whose end the
// kubelet did not see.
const (
	exitKilled  = 137
	exitUnknown = 255
)

// record is what a kubelet knows about one pod. All containers of a pod start
// and end together. advance changes the record and nothing else.
type record struct {
	boot        int // the boot that wrote the record
	stage       stage
	since       time.Time // the beginning of the stage
	delay       time.Duration
	ready       bool
	started     bool // the containers have run at least once
	restarts    int32
	containers  int   // number of starts; each gives new containerIDs
	lastLost    bool  // the last containers were lost in a boot of the machine
	lastExit    int32 // exit code of the last containers
	exit        int32 // exit code in the stage exited
	ip          string
	startTime   time.Time
	terminating time.Time
	deleteSent  bool
}

// facts is what advance must know about the pod.
type facts struct {
	behaviour
	policy       v1.RestartPolicy
	deleting     bool
	grace        time.Duration
	volumesReady bool
}

// never is the wait until the pod changes.
const never = time.Duration(1<<63 - 1)

// pollVolumes is the time between two checks whether the volumes are ready.
const pollVolumes = 200 * time.Millisecond

// advance moves the record to its state at `now`. changed: the status in the
// API must be written. wait: the time until advance must be called again.
func (r *record) advance(f facts, now time.Time) (changed bool, wait time.Duration) {
	if r.stage == exited {
		return false, never
	}
	if f.deleting {
		return r.terminate(f, now)
	}
	switch r.stage {
	case waiting:
		if !f.volumesReady {
			return false, pollVolumes
		}
		r.enter(starting, now)
		r.delay = f.start
		return false, f.start
	case starting:
		if left := r.left(r.delay, now); left > 0 {
			return false, left
		}
		r.enter(running, now)
		r.started = true
		r.containers++
		r.ready = f.ready == 0 && !f.neverReady
		return true, 0
	default:
		return r.advanceRunning(f, now)
	}
}

func (r *record) advanceRunning(f facts, now time.Time) (changed bool, wait time.Duration) {
	wait = never
	if !r.ready && !f.neverReady {
		if left := r.left(f.ready, now); left > 0 {
			wait = left
		} else {
			r.ready, changed = true, true
		}
	}
	if f.run == 0 {
		return changed, wait
	}
	if left := r.left(f.run, now); left > 0 {
		return changed, min(wait, left)
	}
	again := f.policy == v1.RestartPolicyAlways || f.policy == v1.RestartPolicyOnFailure && f.exit != 0
	if !again {
		r.end(f.exit, now)
		return true, never
	}
	r.enter(starting, now)
	r.delay = crashBackOff
	r.restarts++
	r.ready, r.lastLost, r.lastExit = false, false, f.exit
	return true, crashBackOff
}

func (r *record) terminate(f facts, now time.Time) (changed bool, wait time.Duration) {
	if r.stage != running {
		r.end(exitKilled, now)
		return true, never
	}
	if r.terminating.IsZero() {
		r.terminating = now
	}
	if f.neverTerminates {
		return false, never
	}
	takes, code := f.terminate, int32(0)
	if f.ignoreSigterm || f.terminate > f.grace {
		takes, code = f.grace, exitKilled
	}
	if left := takes - now.Sub(r.terminating); left > 0 {
		return false, left
	}
	r.end(code, now)
	return true, never
}

// containersLost: the kubelet has booted and finds that the containers are
// gone.
func (r *record) containersLost(f facts, now time.Time) {
	if r.stage == exited || r.stage == waiting {
		return
	}
	wasRunning := r.stage == running
	r.ready, r.ip = false, ""
	if wasRunning {
		r.lastLost, r.lastExit = true, exitUnknown
	}
	if f.deleting || wasRunning && f.policy == v1.RestartPolicyNever {
		r.end(exitUnknown, now)
		return
	}
	if wasRunning {
		r.restarts++
	}
	r.enter(starting, now)
	r.delay = f.start
}

func (r *record) enter(next stage, now time.Time) { r.stage, r.since = next, now }

func (r *record) end(code int32, now time.Time) {
	r.enter(exited, now)
	r.ready, r.exit = false, code
}

func (r *record) left(after time.Duration, now time.Time) time.Duration {
	return after - now.Sub(r.since)
}
