package vm

import (
	golua "github.com/Shopify/go-lua"
)

// concat is what the rewriter puts in the place of the CONCAT instruction: it
// gets all operands of a chain a .. b .. c and works from the right.
func concat(s *State, l *golua.State) int {
	n := l.Top()
	if n == 2 { // the common case, without a buffer
		a, okA := str(l, 1)
		b, okB := str(l, 2)
		if okA && okB {
			s.room(len(a) + len(b))
			l.PushString(a + b)
			return 1
		}
	}
	for n > 1 {
		first, size := n+1, 0 // of the strings at the end
		for first > 1 {
			part, ok := str(l, first-1)
			if !ok {
				break
			}
			first, size = first-1, size+len(part)
		}
		if n-first >= 1 {
			s.room(size)
			joined := make([]byte, 0, size)
			for i := first; i <= n; i++ {
				part, _ := str(l, i)
				joined = append(joined, part...)
			}
			l.PushString(string(joined))
			n = first
		} else {
			if !s.binaryMeta(l, n-1, n, "__concat") {
				s.concatError(l, n-1)
			}
			n--
		}
		l.Replace(n)
		l.SetTop(n)
	}
	return 1
}

func (s *State) concatError(l *golua.State, i int) {
	if _, ok := str(l, i); ok {
		i++
	}
	s.errorf("attempt to concatenate %s", s.operandOf(i, l.TypeOf(i).String()))
}
