package main

import "errors"

func runCheck([]string) error { return errors.New("not yet") }
