package machines

import (
	"time"

	v1 "k8s.io/api/core/v1"
)

// driftAfter is how long the API must say something else than the kubelet knows
// before it is written again: longer than the watch lags behind a write.
const driftAfter = time.Second

// drift notices that somebody else overwrote what the kubelet had reported. The
// node lifecycle controller does so: it sets Ready=False on the pods of a node
// that was silent. A kubelet's status manager puts that right by itself.
type drift struct {
	since time.Time
}

// check says whether the status must be written again, and when to look next.
func (d *drift) check(pod *v1.Pod, rec *record, now time.Time) (overwritten bool, wait time.Duration) {
	if rec.stage != running || readyInAPI(pod) == rec.ready {
		d.since = time.Time{}
		return false, never
	}
	if d.since.IsZero() {
		d.since = now
	}
	if left := driftAfter - now.Sub(d.since); left > 0 {
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
