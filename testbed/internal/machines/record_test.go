package machines

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

// usual takes a second for everything.
func usual(policy v1.RestartPolicy) facts {
	return facts{
		behaviour: behaviour{start: time.Second, ready: time.Second, terminate: time.Second},
		policy:    policy, grace: 30 * time.Second, volumesReady: true,
	}
}

// settle advances until nothing more is due at that moment.
func settle(r *record, f facts, now time.Time) time.Duration {
	for {
		before := *r
		_, wait := r.advance(f, now)
		if *r == before {
			return wait
		}
	}
}

func readyRecord(f facts) record {
	r := record{}
	for _, second := range []float64{0, 1, 2} {
		settle(&r, f, at(second))
	}
	return r
}

func TestStartsThenBecomesReady(t *testing.T) {
	f := usual(v1.RestartPolicyAlways)
	r := record{}
	if wait := settle(&r, f, at(0)); r.stage != starting || wait != time.Second {
		t.Fatalf("%+v, wait %s", r, wait)
	}
	if settle(&r, f, at(1)); r.stage != running || r.ready || r.containers != 1 {
		t.Fatalf("%+v", r)
	}
	if wait := settle(&r, f, at(2)); !r.ready || wait != never {
		t.Fatalf("%+v, wait %s", r, wait)
	}
}

func TestWaitsForVolumes(t *testing.T) {
	f := usual(v1.RestartPolicyAlways)
	f.volumesReady = false
	r := record{}
	if wait := settle(&r, f, at(100)); r.stage != waiting || wait != pollVolumes {
		t.Fatalf("%+v, wait %s", r, wait)
	}
}

func TestGraceCutsTermination(t *testing.T) {
	for _, c := range []struct {
		name         string
		ignore       bool
		takes, grace float64
		ends         float64
		code         int32
		stillRunsAt  float64
	}{
		{name: "in time", takes: 2, grace: 30, ends: 2, code: 0, stillRunsAt: 1.9},
		{name: "too slow", takes: 60, grace: 30, ends: 30, code: exitKilled, stillRunsAt: 29.9},
		{name: "deaf", ignore: true, takes: 1, grace: 5, ends: 5, code: exitKilled, stillRunsAt: 4.9},
	} {
		f := usual(v1.RestartPolicyAlways)
		r := readyRecord(f)
		f.deleting, f.ignoreSigterm = true, c.ignore
		f.terminate = time.Duration(c.takes * float64(time.Second))
		f.grace = time.Duration(c.grace * float64(time.Second))
		settle(&r, f, at(10))
		if settle(&r, f, at(10+c.stillRunsAt)); r.stage != running {
			t.Errorf("%s: ended early: %+v", c.name, r)
		}
		if settle(&r, f, at(10+c.ends)); r.stage != exited || r.exit != c.code {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestGraceShortenedInMidTermination(t *testing.T) {
	f := usual(v1.RestartPolicyAlways)
	r := readyRecord(f)
	f.deleting, f.ignoreSigterm = true, true
	settle(&r, f, at(10))
	f.grace = 2 * time.Second
	if settle(&r, f, at(12)); r.stage != exited {
		t.Fatalf("%+v", r)
	}
}

func TestBootRestartsInPlace(t *testing.T) {
	f := usual(v1.RestartPolicyAlways)
	r := readyRecord(f)
	r.interrupted(f, at(10))
	if r.stage != starting || r.ready || r.restarts != 1 || !r.lastLost || r.containers != 1 {
		t.Fatalf("%+v", r)
	}
	if settle(&r, f, at(12)); r.stage != running || r.containers != 2 {
		t.Fatalf("%+v", r)
	}
}

func TestBootEndsWhatMustNotRestart(t *testing.T) {
	f := usual(v1.RestartPolicyNever)
	r := readyRecord(f)
	if r.interrupted(f, at(10)); r.stage != exited || phaseOf(&r) != v1.PodFailed {
		t.Fatalf("%+v", r)
	}
	f = usual(v1.RestartPolicyAlways)
	r = readyRecord(f)
	f.deleting = true
	if r.interrupted(f, at(10)); r.stage != exited {
		t.Fatalf("a terminating pod came back: %+v", r)
	}
}

func TestRunsForAWhile(t *testing.T) {
	f := usual(v1.RestartPolicyNever)
	f.run = 5 * time.Second
	r := record{}
	for second := range 10 {
		settle(&r, f, at(float64(second)))
	}
	if r.stage != exited || phaseOf(&r) != v1.PodSucceeded {
		t.Fatalf("%+v", r)
	}
	f = usual(v1.RestartPolicyOnFailure)
	f.run, f.exit = 5*time.Second, 3
	r = record{}
	for second := range 10 {
		settle(&r, f, at(float64(second)))
	}
	if r.stage != starting || r.restarts != 1 || r.lastExit != 3 || r.lastLost {
		t.Fatalf("%+v", r)
	}
}

func TestFaultNames(t *testing.T) {
	for _, good := range []string{"never-returns", "slow=3", "dead"} {
		if fault, err := ParseFault(good); err != nil || fault.String() != good {
			t.Errorf("%s: %v, %v", good, fault, err)
		}
	}
	for _, bad := range []string{"", "slow", "slow=0", "slow=x", "dead=1", "never-return"} {
		if _, err := ParseFault(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
