//go:build race

package gateway_test

// raceEnabled reports that the race detector is on. It makes sync.Pool forget, so
// allocations cannot be counted.
const raceEnabled = true
