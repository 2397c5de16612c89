package rules

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

// A filter selects what the regular expression of the same meaning does.
func TestMatcherAgainstRegexp(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	text := func(alphabet string, most int) string {
		var b strings.Builder
		for range rnd.IntN(most + 1) {
			b.WriteByte(alphabet[rnd.IntN(len(alphabet))])
		}
		return b.String()
	}
	hits := 0
	for range 20_000 {
		filter, key := text("ab*?\xff", 8), text("ab\xff", 12)
		if rnd.IntN(10) == 0 { // beyond the first words of 64 places
			filter = strings.Repeat("a", rnd.IntN(140)) + filter
			key = strings.Repeat("a", rnd.IntN(140)) + key
		}
		want := strings.Contains(key, filter)
		if strings.ContainsAny(filter, "*?") {
			re := regexp.QuoteMeta(strings.ReplaceAll(filter, "\xff", "z"))
			re = "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(re) + "$"
			want = regexp.MustCompile(re).MatchString(strings.ReplaceAll(key, "\xff", "z"))
		}
		m := NewMatcher(filter)
		if got := m.Matches(key); got != want {
			t.Fatalf("%q matches %q: %v, want %v", filter, key, got, want)
		}
		if m.Matches(key) != want {
			t.Fatalf("%q matches %q otherwise the second time", filter, key)
		}
		if want {
			hits++
		}
	}
	if hits < 1000 {
		t.Errorf("only %d matches: the cases say little", hits)
	}
}

// No filter makes looking at a page of keys cost much, however long or cunning.
func TestFiltersAreBounded(t *testing.T) {
	key := strings.Repeat("a", MaxKeyBytes)
	for _, filter := range []string{
		"*a*a*b", strings.Repeat("*a", 150) + "b", "*" + strings.Repeat("a", 150) + "b",
		strings.Repeat("?*", 200) + "?",
		strings.Repeat("*", 1<<20), strings.Repeat("a", 1<<20), strings.Repeat("a*", 1<<19),
		strings.Repeat("?", 201),
	} {
		m := NewMatcher(filter)
		if cost := m.Cost(key); cost > 16+4*MaxKeyBytes {
			t.Errorf("%.20q costs %d steps a key", filter, cost)
		}
		if want := strings.Trim(filter, "*") == ""; m.Matches(key) != want {
			t.Errorf("%.20q matches: %v", filter, !want)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	key := strings.Repeat("a", MaxKeyBytes)
	for _, filter := range []string{"*a*a*b", "*" + strings.Repeat("a", 150) + "b"} {
		b.Run(filter[:4], func(b *testing.B) {
			m := NewMatcher(filter)
			for b.Loop() {
				m.Matches(key)
			}
		})
	}
}
