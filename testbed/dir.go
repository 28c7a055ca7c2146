package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// marker is a file in every testbed directory. If --dir names another directory
// by mistake, it has no marker and is not emptied. The supervisor locks the
// marker; the kernel frees the lock when the supervisor ends.
const marker = "junban-testbed"

// supervisorLog is open before the supervisor empties the directory, so it
// stays.
const supervisorLog = "testbed.log"

func defaultDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("junban-testbed-%d", os.Getuid()))
}

// claimDir locks the directory for this testbed, empties it and returns the
// lock. An empty name stands for a new temporary directory.
func claimDir(dir *string) (*os.File, error) {
	if *dir == "" {
		removeDeadRuns()
		made, err := os.MkdirTemp("", "junban-testbed-run-")
		if err != nil {
			return nil, err
		}
		*dir = made
	}
	absolute, err := filepath.Abs(*dir)
	if err != nil {
		return nil, err
	}
	*dir = absolute
	if err := os.MkdirAll(absolute, 0o700); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(absolute)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(absolute, marker)
	if _, err := os.Stat(path); len(entries) > 0 && err != nil {
		return nil, fmt.Errorf("%s has files, and they are not from a testbed\nhint: name an empty directory with --dir", absolute)
	}
	lock, err := lockMarker(path)
	if err != nil {
		return nil, fmt.Errorf("another testbed is running in %s\nhint: end it with `testbed down --dir %s`, or name another directory with --dir", absolute, absolute)
	}
	for _, entry := range entries {
		if entry.Name() == supervisorLog || entry.Name() == marker {
			continue
		}
		if err := os.RemoveAll(filepath.Join(absolute, entry.Name())); err != nil {
			return nil, err
		}
	}
	return lock, nil
}

func lockMarker(path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// removeDeadRuns removes the temporary directories of runs that were killed.
func removeDeadRuns() {
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "junban-testbed-run-*", marker))
	if err != nil {
		return
	}
	for _, path := range left {
		if lock, err := lockMarker(path); err == nil {
			os.RemoveAll(filepath.Dir(path))
			lock.Close()
		}
	}
}
