package machines

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return epoch.Add(time.Duration(seconds * float64(time.Second))) }

// oneSecondFacts: start, ready and terminate take one second each.
func oneSecondFacts(policy v1.RestartPolicy) facts {
	return facts{
		behaviour: behaviour{start: time.Second, ready: time.Second, terminate: time.Second},
		policy:    policy, grace: 30 * time.Second, volumesReady: true,
	}
}

// advanceTo moves the record to its state at `now`.
func advanceTo(r *record, f facts, now time.Time) time.Duration {
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
		advanceTo(&r, f, at(second))
	}
	return r
}

func TestAPodStartsThenBecomesReady(t *testing.T) {
	f := oneSecondFacts(v1.RestartPolicyAlways)
	r := record{}
	if wait := advanceTo(&r, f, at(0)); r.stage != starting || wait != time.Second {
		t.Fatalf("%+v, wait %s", r, wait)
	}
	if advanceTo(&r, f, at(1)); r.stage != running || r.ready || r.containers != 1 {
		t.Fatalf("%+v", r)
	}
	if wait := advanceTo(&r, f, at(2)); !r.ready || wait != never {
		t.Fatalf("%+v, wait %s", r, wait)
	}
}

func TestAPodWaitsForItsVolumes(t *testing.T) {
	f := oneSecondFacts(v1.RestartPolicyAlways)
	f.volumesReady = false
	r := record{}
	if wait := advanceTo(&r, f, at(100)); r.stage != waiting || wait != pollVolumes {
		t.Fatalf("%+v, wait %s", r, wait)
	}
}

func TestTheGracePeriodLimitsTermination(t *testing.T) {
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
		{name: "ignores SIGTERM", ignore: true, takes: 1, grace: 5, ends: 5, code: exitKilled, stillRunsAt: 4.9},
	} {
		f := oneSecondFacts(v1.RestartPolicyAlways)
		r := readyRecord(f)
		f.deleting, f.ignoreSigterm = true, c.ignore
		f.terminate = time.Duration(c.takes * float64(time.Second))
		f.grace = time.Duration(c.grace * float64(time.Second))
		advanceTo(&r, f, at(10))
		if advanceTo(&r, f, at(10+c.stillRunsAt)); r.stage != running {
			t.Errorf("%s: the containers ended too early: %+v", c.name, r)
		}
		if advanceTo(&r, f, at(10+c.ends)); r.stage != exited || r.exit != c.code {
			t.Errorf("%s: %+v", c.name, r)
		}
	}
}

func TestAShorterGracePeriodAppliesDuringTermination(t *testing.T) {
	f := oneSecondFacts(v1.RestartPolicyAlways)
	r := readyRecord(f)
	f.deleting, f.ignoreSigterm = true, true
	advanceTo(&r, f, at(10))
	f.grace = 2 * time.Second
	if advanceTo(&r, f, at(12)); r.stage != exited {
		t.Fatalf("%+v", r)
	}
}

func TestABootRestartsThePodInPlace(t *testing.T) {
	f := oneSecondFacts(v1.RestartPolicyAlways)
	r := readyRecord(f)
	r.containersLost(f, at(10))
	if r.stage != starting || r.ready || r.restarts != 1 || !r.lastLost || r.containers != 1 {
		t.Fatalf("%+v", r)
	}
	if advanceTo(&r, f, at(12)); r.stage != running || r.containers != 2 {
		t.Fatalf("%+v", r)
	}
}

func TestABootEndsPodsThatMustNotRestart(t *testing.T) {
	f := oneSecondFacts(v1.RestartPolicyNever)
	r := readyRecord(f)
	if r.containersLost(f, at(10)); r.stage != exited || phaseOf(&r) != v1.PodFailed {
		t.Fatalf("%+v", r)
	}
	f = oneSecondFacts(v1.RestartPolicyAlways)
	r = readyRecord(f)
	f.deleting = true
	if r.containersLost(f, at(10)); r.stage != exited {
		t.Fatalf("a terminating pod was started again: %+v", r)
	}
}

func TestContainersEndByThemselves(t *testing.T) {
	f := oneSecondFacts(v1.RestartPolicyNever)
	f.run = 5 * time.Second
	r := record{}
	for second := range 10 {
		advanceTo(&r, f, at(float64(second)))
	}
	if r.stage != exited || phaseOf(&r) != v1.PodSucceeded {
		t.Fatalf("%+v", r)
	}
	f = oneSecondFacts(v1.RestartPolicyOnFailure)
	f.run, f.exit = 5*time.Second, 3
	r = record{}
	for second := range 10 {
		advanceTo(&r, f, at(float64(second)))
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
			t.Errorf("ParseFault accepted %q", bad)
		}
	}
}
