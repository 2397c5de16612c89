package workloads

import (
	"bytes"
	"os"
	"strconv"
)

// kernelMemory is how many bytes the kernel holds for objects of all kinds, and in the
// buffers of TCP connections; 0 where the system does not tell.
func kernelMemory() int64 {
	slab := field("/proc/meminfo", "Slab:", 0) << 10
	if slab == 0 {
		return 0
	}
	pages := field("/proc/net/sockstat", "TCP:", 9) // … mem N
	return slab + pages*int64(os.Getpagesize())
}

// field is the n-th number of the line with that name, 0 if there is none.
func field(file, name string, n int) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(b) {
		words := bytes.Fields(line)
		if len(words) > n+1 && string(words[0]) == name {
			v, _ := strconv.ParseInt(string(words[n+1]), 10, 64)
			return v
		}
	}
	return 0
}
