package stack_test

import (
	"testing"

	"github.com/wsgateway/gateway/internal/stack"
)

const here = "github.com/wsgateway/gateway/internal/stack_test."

func down(n int) int {
	if n == 0 {
		return stack.Count(here+"down", here+"elsewhere")
	}
	return down(n-1) + 0
}

func elsewhere() int { return stack.Count(here + "elsewhere") }

func TestCount(t *testing.T) {
	for _, n := range []int{0, 1, 62, 63, 64, 200} {
		if got := down(n); got != n+1 {
			t.Errorf("%d calls down: %d are counted", n, got)
		}
	}
	if got := elsewhere(); got != 1 {
		t.Errorf("one call, perhaps inlined: %d are counted", got)
	}
	if got := stack.Count(here + "down"); got != 0 {
		t.Errorf("outside of the function: %d calls are counted", got)
	}
}
