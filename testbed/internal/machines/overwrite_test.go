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
	var d overwriteCheck
	if overwritten, wait := d.check(pod, rec, now); overwritten || wait != never {
		t.Fatal("a correct status was to be written again")
	}
	pod.Status.Conditions[0].Status = v1.ConditionFalse
	if overwritten, wait := d.check(pod, rec, now); overwritten || wait != writeAgainAfter {
		t.Fatalf("the watch may only be late: overwritten %t, wait %s", overwritten, wait)
	}
	if overwritten, _ := d.check(pod, rec, now.Add(writeAgainAfter)); !overwritten {
		t.Fatal("an overwritten status was not to be written again")
	}
	if overwritten, _ := d.check(pod, rec, now.Add(writeAgainAfter+time.Millisecond)); overwritten {
		t.Fatal("the status was to be written twice without a wait")
	}
	rec.stage = starting
	if overwritten, wait := d.check(pod, rec, now.Add(time.Hour)); overwritten || wait != never {
		t.Fatal("a pod that is not running was compared")
	}
}
