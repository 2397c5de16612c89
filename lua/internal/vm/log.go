package vm

import (
	"strings"

	golua "github.com/Shopify/go-lua"
)

var logLibrary = library{
	{"debug", logAt("debug")}, {"info", logAt("info")}, {"warn", logAt("warn")},
	{"error", logAt("error")},
}

func basePrint(s *State, l *golua.State) int { return s.print(l, "print", "\t") }

func logAt(level string) libraryFunction {
	return func(s *State, l *golua.State) int { return s.print(l, level, " ") }
}

func (s *State) print(l *golua.State, level, between string) int {
	var b strings.Builder
	for i := 1; i <= l.Top(); i++ {
		if i > 1 {
			b.WriteString(between)
		}
		part := s.toString(l, i)
		s.room(len(part))
		b.WriteString(part)
	}
	s.line()
	s.Output(b.Len())
	if s.cfg.Print != nil {
		chunk, line := s.Position()
		s.Pause(func() { s.cfg.Print(s, level, b.String(), chunk, line) })
	} else {
		s.step(pauseCost)
	}
	return 0
}
