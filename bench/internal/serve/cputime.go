package serve

import "time"

// CPUTime returns the CPU time that this process has used, in user and kernel mode.
func CPUTime() (time.Duration, error) { return cpuTime() }
