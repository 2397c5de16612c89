//go:build !unix

package serve

import (
	"errors"
	"time"
)

func cpuTime() (time.Duration, error) {
	return 0, errors.New("the CPU time of a process can only be read on Unix")
}
