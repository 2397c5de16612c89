//go:build !race

package vm

const slowed = 1
