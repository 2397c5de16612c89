//go:build !unix

package load

// descriptors is how many this process may have.
func descriptors() int { return 1 << 16 }
