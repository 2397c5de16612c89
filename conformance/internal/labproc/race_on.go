//go:build race

package labproc

// Race reports whether the race detector is on, here and in the server. It makes
// both several times slower.
const Race = true
