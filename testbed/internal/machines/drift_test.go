package machines

import (
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
)

func TestAnOverwrittenStatusIsWrittenAgain(t *testing.T) {
	pod := &v1.Pod{Status: v1.PodStatus{Conditions: []v1.PodCondition{{Type: v1.PodReady, Status: v1.ConditionTrue}}}}
	rec := &record{stage: running, ready: true}
	now := time.Now()
	var d drift
	if overwritten, wait := d.check(pod, rec, now); overwritten || wait != never {
		t.Fatal("a status that says what is true is left alone")
	}
	pod.Status.Conditions[0].Status = v1.ConditionFalse
	if overwritten, wait := d.check(pod, rec, now); overwritten || wait != driftAfter {
		t.Fatalf("a watch may lag: overwritten %t, wait %s", overwritten, wait)
	}
	if overwritten, _ := d.check(pod, rec, now.Add(driftAfter)); !overwritten {
		t.Fatal("what stays different was overwritten")
	}
	if overwritten, _ := d.check(pod, rec, now.Add(driftAfter+time.Millisecond)); overwritten {
		t.Fatal("one write, then the watch has its time again")
	}
	rec.stage = starting
	if overwritten, wait := d.check(pod, rec, now.Add(time.Hour)); overwritten || wait != never {
		t.Fatal("only running pods are compared")
	}
}
