package vm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

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
			ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
			defer cancel()
			start := time.Now()
			_, err := Compile(ctx, c.before+strings.Repeat(c.part, 50_000)+c.after, "long")
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %v", took)
			}
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Line < 2 || syntax.Line > 50_000 || !strings.Contains(syntax.Text, "too long") {
				t.Errorf("Compile = %v, want an error with the line that was reached", err)
			}
			if _, err := Compile(context.Background(), c.before+strings.Repeat(c.part, 200)+c.after, "short"); err != nil {
				t.Errorf("a chain of 200: %v", err)
			}
		})
	}
}
