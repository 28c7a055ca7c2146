package machines

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// writeAgainAfter is how long the API must differ from the kubelet's record
// before the kubelet writes again: longer than a watch is late.
const writeAgainAfter = time.Second

// overwriteCheck notices that somebody else has overwritten a pod's Ready. The
// node lifecycle controller does so: it sets Ready=False on the pods of a node
// whose Lease is too old. The status manager of a real kubelet writes Ready
// again.
type overwriteCheck struct {
	since time.Time
}

// check returns whether the status must be written again, and the time until
// the next check.
func (d *overwriteCheck) check(pod *v1.Pod, rec *record, now time.Time) (overwritten bool, wait time.Duration) {
	if rec.stage != running || readyInAPI(pod) == rec.ready {
		d.since = time.Time{}
		return false, never
	}
	if d.since.IsZero() {
		d.since = now
	}
	if left := writeAgainAfter - now.Sub(d.since); left > 0 {
		return false, left
	}
	d.since = now
	return true, never
}

func readyInAPI(pod *v1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == v1.PodReady {
			return condition.Status == v1.ConditionTrue
		}
	}
	return false
}
