package vm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// Jumps to one place are resolved where nothing can interrupt the compiler, so
// that their number is limited whatever time there is.
func TestCompileJumps(t *testing.T) {
	for _, jump := range []string{"break", "goto l"} {
		chunk := func(n int) string {
			return "while true do\n" + strings.Repeat("if x then "+jump+" end\n", n) + "::l:: end"
		}
		_, err := Compile(context.Background(), chunk(50_000), "many")
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || syntax.Line != maxJumps+2 {
			t.Errorf("Compile of 50000 %s = %v, want an error at line %d", jump, err, maxJumps+2)
		}
	}
	if _, err := Compile(context.Background(),
		strings.Repeat("breakers, gotos, _break, goto1 = 1\n", 2*maxJumps), "names"); err != nil {
		t.Errorf("names that begin with the words: %v", err)
	}
}

// An endsAfter is a context that ends when it has been asked so often.
type endsAfter struct {
	context.Context
	looks int
}

func (c *endsAfter) Err() error {
	if c.looks--; c.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

// The compiler is cubic in the length of these, which would take it hours. It
// stops when its context ends.
func TestCompileStops(t *testing.T) {
	for name, c := range map[string]struct{ before, part, after string }{
		"elseif": {"if x then\n", "elseif x then\n", "end"},
		"and":    {"return x\n", "and x\n", ""},
		"or":     {"return x\n", "or x\n", ""},
		"break":  {"while true do\n", "if x then break end\n", "end"},
		"goto":   {"do\n", "if x then goto l end\n", "::l:: end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := Compile(&endsAfter{context.Background(), 100},
				c.before+strings.Repeat(c.part, 50_000)+c.after, "long")
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 2 || syntax.Line > 50_000 ||
				!strings.Contains(syntax.Text, "too long") {
				t.Errorf("Compile = %v, want an error with the line that was reached", err)
			}
			if _, err := Compile(context.Background(), c.before+strings.Repeat(c.part, 200)+c.after,
				"short"); err != nil {
				t.Errorf("a chain of 200: %v", err)
			}
		})
	}
}
