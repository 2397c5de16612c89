//go:build race

package vm

// slowed divides what tests do much of: the race detector makes scripts ten times as slow.
// Without it they do all.
const slowed = 5
