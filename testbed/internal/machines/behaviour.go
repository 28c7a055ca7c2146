package machines

import (
	"fmt"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Annotations with which a workload says how its pods behave. testbed/README.md
// documents them.
const (
	prefix           = "testbed.junban.dev/"
	startSeconds     = prefix + "start-seconds"
	readySeconds     = prefix + "ready-seconds"
	terminateSeconds = prefix + "terminate-seconds"
	ignoreSigterm    = prefix + "ignore-sigterm"
	runSeconds       = prefix + "run-seconds"
	exitCode         = prefix + "exit-code"
	neverReady       = prefix + "never-ready"
	neverTerminates  = prefix + "never-terminates"
	attachSeconds    = prefix + "attach-seconds" // on the PersistentVolume
	detachSeconds    = prefix + "detach-seconds" // on the PersistentVolume
)

// How pods without these annotations behave.
const (
	defaultStart     = 300 * time.Millisecond
	defaultReady     = 200 * time.Millisecond
	defaultTerminate = time.Second
	defaultRun       = 10 * time.Second // only if the containers should end by themselves
	defaultAttach    = 300 * time.Millisecond
	defaultDetach    = 500 * time.Millisecond
	crashBackOff     = 10 * time.Second
)

type behaviour struct {
	start, ready, terminate time.Duration
	run                     time.Duration // 0: for ever
	exit                    int32
	ignoreSigterm           bool
	neverReady              bool
	neverTerminates         bool
}

// behaviourOf reads a pod's annotations. errs lists the invalid ones; they keep
// their defaults.
func behaviourOf(pod *v1.Pod) (b behaviour, errs []error) {
	seconds := func(key string, otherwise time.Duration) time.Duration {
		value, err := secondsOf(pod.Annotations, key, otherwise)
		if err != nil {
			errs = append(errs, err)
		}
		return value
	}
	flag := func(key string) bool {
		text, set := pod.Annotations[key]
		if !set {
			return false
		}
		value, err := strconv.ParseBool(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %q: want true or false", key, text))
		}
		return value
	}
	b.start = seconds(startSeconds, defaultStart)
	b.ready = seconds(readySeconds, defaultReady)
	b.terminate = seconds(terminateSeconds, defaultTerminate)
	run := time.Duration(0)
	if pod.Spec.RestartPolicy != v1.RestartPolicyAlways {
		run = defaultRun
	}
	b.run = seconds(runSeconds, run)
	b.ignoreSigterm = flag(ignoreSigterm)
	b.neverReady = flag(neverReady)
	b.neverTerminates = flag(neverTerminates)
	if text, set := pod.Annotations[exitCode]; set {
		code, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", exitCode, err))
		}
		b.exit = int32(code)
	}
	return b, errs
}

func secondsOf(annotations map[string]string, key string, otherwise time.Duration) (time.Duration, error) {
	text, set := annotations[key]
	if !set {
		return otherwise, nil
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil || value < 0 {
		return otherwise, fmt.Errorf("%s: %q: want a number of seconds", key, text)
	}
	return time.Duration(value * float64(time.Second)), nil
}
