//go:build !linux

package vm

import "time"

// threadTime is not known here.
func threadTime() (thread int, cpu time.Duration) { return 0, 0 }
