package conformance_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// firstBad returns how many bytes of s tell that no continuation makes it UTF-8;
// 0 if one could.
func firstBad(s string) int {
	for n := 1; n <= len(s); n++ {
		rest := s[:n]
		for rest != "" && utf8.FullRuneInString(rest) {
			r, size := utf8.DecodeRuneInString(rest)
			if r == utf8.RuneError && size == 1 {
				return n
			}
			rest = rest[size:]
		}
	}
	return 0
}

func TestFirstBad(t *testing.T) {
	for s, want := range map[string]int{"abc": 0, "a\xffb": 2, "\xe2\x82": 0, "\xe2\x28": 2,
		"\xed\xa0\x80": 2, "\xf4\x90": 2, "\xc0": 1, "": 0, "\xf0\x9f\x98\x80\x80": 5} {
		if got := firstBad(s); got != want {
			t.Errorf("firstBad(%q) = %d, want %d", s, got, want)
		}
	}
}

// Text that can no longer become UTF-8 is refused at the byte that tells, whatever
// was announced to come: in a frame that is not whole, and in a fragment that is
// not the last (RFC 6455, section 8.1; Autobahn 6.4 for all sequences of 6.5 on).
func TestFailFastUTF8(t *testing.T) {
	var cases []protoCase
	for g, sequences := range utf8Sequences() {
		for i, s := range sequences {
			n := firstBad(s)
			if n == 0 {
				continue
			}
			id := fmt.Sprintf("6.%d.%d", 5+g, i+1)
			rest := strings.Repeat("x", 10)
			frame := raw.Encode(raw.Whole(raw.Text, []byte(s+rest)))
			header := len(frame) - len(s+rest)
			fragments := raw.Fragments(raw.Text, []byte("good "), []byte(s[:n]), []byte(rest))
			cases = append(cases,
				protoCase{id + " in a frame", "the rest never comes",
					[]step{bytesCut(0, frame[:header+n]), closedWith(1007)}},
				protoCase{id + " in a frame, byte by byte", "the rest never comes",
					[]step{bytesCut(1, frame[:header+n]), closedWith(1007)}},
				protoCase{id + " in a fragment", "the last never comes",
					[]step{send(fragments[:2]...), closedWith(1007)}},
				protoCase{id + " split over fragments", "the last never comes", []step{
					send(raw.Fragments(raw.Text, append(raw.Cut([]byte(s[:n]), 1), nil)...)[:n]...),
					closedWith(1007)}},
			)
		}
	}
	runCases(t, cases)
}

// What could still become UTF-8 is waited for, and refused when it ends too early.
func TestFailFastNotTooFast(t *testing.T) {
	var cases []protoCase
	for i, whole := range []string{"¢", "€", "𐍈", "\U0010ffff", "\u0800", "\ud7ff", "\ue000"} {
		for n := 1; n < len(whole); n++ {
			id := fmt.Sprintf("%d.%d", i, n)
			parts := raw.Fragments(raw.Text, []byte(whole[:n]), []byte(whole[n:]))
			ping := raw.Whole(raw.Ping, nil)
			cases = append(cases,
				protoCase{id + " completed", "after a ping",
					[]step{send(parts[0], ping), want(pong("")), send(parts[1]), want(text(whole)), done}},
				protoCase{id + " never completed", "by an empty last fragment", []step{
					send(parts[0], ping), want(pong("")), send(raw.Frame{Fin: true, Opcode: raw.Continuation}),
					closedWith(1007)}},
				protoCase{id + " whole message", "cut short",
					[]step{send(raw.Whole(raw.Text, []byte(whole[:n]))), closedWith(1007)}},
			)
		}
	}
	runCases(t, cases)
}
