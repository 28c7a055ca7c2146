package main

import (
	"errors"
	"os"

	"junban.dev/testbed/internal/check"
)

func runCheck(args []string) error {
	if len(args) > 0 {
		return errors.New("check takes no arguments")
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	return check.Run(binary)
}
