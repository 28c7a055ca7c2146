package machines

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// stage is how far a pod's containers are.
type stage int

const (
	waiting  stage = iota // for volumes
	starting              // images, sandbox, start-up
	running
	exited // and not to be started again
)

// exitKilled is what a container that SIGKILL ended reports, exitUnknown255 one
// whose end nobody saw.
const (
	exitKilled     = 137
	exitUnknown255 = 255
)

// record is what a kubelet knows about one pod. All containers of a pod share
// their fate. advance is its whole life and touches nothing else.
type record struct {
	boot        int // the boot whose kubelet wrote it
	stage       stage
	since       time.Time // of the stage
	delay       time.Duration
	ready       bool
	started     bool // the containers of this pod have run at least once
	restarts    int32
	containers  int    // generation of containerIDs: 0 is none
	lastLost    bool   // the containers before these vanished with the machine
	lastExit    int32  // of the containers before these
	exit        int32  // once exited
	ip          string // of the present sandbox
	startTime   time.Time
	terminating time.Time
	deleteSent  bool
}

// facts are what advance must know about a pod at the moment.
type facts struct {
	behaviour
	policy       v1.RestartPolicy
	deleting     bool
	grace        time.Duration
	volumesReady bool
}

// never is a wait without a due time: only a change of the pod ends it.
const never = time.Duration(1<<63 - 1)

// pollVolumes is how often a pod that waits for a volume looks again.
const pollVolumes = 200 * time.Millisecond

// advance moves the record as far as `now` allows. It says whether the status
// in the API must change and how long nothing will happen by itself.
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
		return r.work(f, now)
	}
}

func (r *record) work(f facts, now time.Time) (changed bool, wait time.Duration) {
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

// interrupted is what a kubelet finds after a boot: the containers are gone.
func (r *record) interrupted(f facts, now time.Time) {
	if r.stage == exited || r.stage == waiting {
		return
	}
	wasRunning := r.stage == running
	r.ready, r.ip = false, ""
	if wasRunning {
		r.lastLost, r.lastExit = true, exitUnknown255
	}
	if f.deleting || wasRunning && f.policy == v1.RestartPolicyNever {
		r.end(exitUnknown255, now)
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
