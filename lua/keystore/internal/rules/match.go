// Package rules has what the stores of values by key have in common.
package rules

import "strings"

// MaxKeyBytes is the length of the longest key.
const MaxKeyBytes = 200

// A Matcher selects the keys that contain a filter or, if the filter has a "*" or "?", that
// it matches as a whole. It is for one goroutine at a time. What it costs grows with the
// length of the key alone, whatever the filter: with wildcards it follows all ways through
// the filter at once, a bit for each place in it that the text so far may have led to.
type Matcher struct {
	part  string // without wildcards: keys that contain it match
	none  bool   // the filter is longer than any key
	words int    // 64 places each; 0: no wildcards

	places []uint64        // where the way begins
	stay   []uint64        // places before a "*", which any byte may follow
	step   [256]*[4]uint64 // by byte: places from which it leads to the next
	any    [4]uint64       // the same of bytes that the filter does not name
	end    int             // the last place
	next   []uint64
}

// maxPlaces is how many there can be: one before each byte of a key, and the end.
const maxPlaces = MaxKeyBytes + 1

// NewMatcher reads a filter once.
func NewMatcher(filter string) *Matcher {
	m := &Matcher{part: filter}
	if !strings.ContainsAny(filter, "*?") {
		m.none = len(filter) > MaxKeyBytes
		return m
	}
	if m.end = len(filter) - strings.Count(filter, "*"); m.end >= maxPlaces {
		m.none = true
		return m
	}
	m.words = m.end/64 + 1
	bits := make([]uint64, 3*m.words)
	m.places, m.stay, m.next = bits[:m.words], bits[m.words:2*m.words], bits[2*m.words:]
	place := 0
	for i := range len(filter) {
		word, bit := place/64, uint64(1)<<(place%64)
		switch c := filter[i]; c {
		case '*':
			m.stay[word] |= bit
			continue
		case '?':
			m.any[word] |= bit
		default:
			if m.step[c] == nil {
				m.step[c] = new([4]uint64)
			}
			m.step[c][word] |= bit
		}
		place++
	}
	for _, named := range m.step {
		for w := range m.words {
			if named != nil {
				named[w] |= m.any[w]
			}
		}
	}
	return m
}

// Matches reports whether the filter selects a key.
func (m *Matcher) Matches(key string) bool {
	switch {
	case m.none:
		return false
	case m.words == 0:
		return strings.Contains(key, m.part)
	}
	clear(m.places)
	m.places[0] = 1
	for i := range len(key) {
		step := m.step[key[i]]
		if step == nil {
			step = &m.any
		}
		carry, alive := uint64(0), uint64(0)
		for w, now := range m.places {
			on := now & step[w]
			m.next[w] = on<<1 | carry | now&m.stay[w]
			carry = on >> 63
			alive |= m.next[w]
		}
		if alive == 0 {
			return false
		}
		m.places, m.next = m.next, m.places
	}
	return m.places[m.end/64]&(1<<(m.end%64)) != 0
}

// Cost is about what it takes to match a key, in steps.
func (m *Matcher) Cost(key string) int { return 16 + len(key)*max(m.words, 1) }
