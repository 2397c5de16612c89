package vm

import (
	"syscall"
	"time"
)

const rusageThread = 1 // RUSAGE_THREAD

// threadTime returns the thread that the goroutine is on, and the CPU time that it
// has used; 0 if the system does not tell.
func threadTime() (thread int, cpu time.Duration) {
	var u syscall.Rusage
	if syscall.Getrusage(rusageThread, &u) != nil {
		return 0, 0
	}
	return syscall.Gettid(), time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
