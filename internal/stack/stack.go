// Package stack looks at the calls that a goroutine is in.
package stack

import (
	"runtime"
	"slices"
)

// Count returns how many of this goroutine's calls are of the functions, which have their
// full names, as in "example.com/pkg.(*T).Method".
func Count(functions ...string) int {
	pcs := make([]uintptr, 64)
	n := runtime.Callers(2, pcs)
	for n == len(pcs) { // there may be more
		pcs = make([]uintptr, 2*len(pcs))
		n = runtime.Callers(2, pcs)
	}
	count := 0
	for frames, more := runtime.CallersFrames(pcs[:n]), n > 0; more; {
		var f runtime.Frame
		f, more = frames.Next()
		if slices.Contains(functions, f.Function) {
			count++
		}
	}
	return count
}
