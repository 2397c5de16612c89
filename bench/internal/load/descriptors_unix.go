//go:build unix

package load

import "syscall"

// descriptors is how many this process may have. Go raises that to the hard limit.
func descriptors() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return int(min(uint64(l.Cur), 1<<30))
}
