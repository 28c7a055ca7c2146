package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// marker tells a testbed's directory from any other that --dir may name by
// mistake: only a directory that holds it is ever emptied. Its supervisor
// keeps it locked; the kernel drops the lock when the supervisor dies.
const marker = "junban-testbed"

// supervisorLog is open already when the supervisor empties the directory.
const supervisorLog = "testbed.log"

func defaultDir() string {
	return filepath.Join(os.TempDir(), fmt.Sprintf("junban-testbed-%d", os.Getuid()))
}

// claimDir makes sure that a directory is this testbed's alone and empty, and
// returns the lock on it. An empty name becomes a new temporary directory.
func claimDir(dir *string) (*os.File, error) {
	if *dir == "" {
		sweep()
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
		return nil, fmt.Errorf("%s is not empty and not a testbed's\nhint: name an empty directory with --dir", absolute)
	}
	lock, err := lockMarker(path)
	if err != nil {
		return nil, fmt.Errorf("a testbed is up in %s already\nhint: `testbed down --dir %s`, or give this one another --dir", absolute, absolute)
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

// sweep removes the temporary directories of runs that were killed before
// they could tidy up.
func sweep() {
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
