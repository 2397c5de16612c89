package conformance_test

import (
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/wsgateway/gateway/conformance/internal/raw"
)

const kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5" // the word of the suite's UTF-8 cases

func TestAutobahn6UTF8(t *testing.T) {
	var cases []protoCase
	add := func(id, about string, steps ...step) { cases = append(cases, protoCase{id, about, steps}) }
	fragments := func(parts ...string) []raw.Frame {
		var b [][]byte
		for _, p := range parts {
			b = append(b, []byte(p))
		}
		return raw.Fragments(raw.Text, b...)
	}
	octets := func(s string) []raw.Frame { return raw.Fragments(raw.Text, raw.Cut([]byte(s), 1)...) }

	add("6.1.1", "empty text", send(raw.Whole(raw.Text, nil)), want(text("")), done)
	add("6.1.2", "three empty fragments", send(fragments("", "", "")...), want(text("")), done)
	add("6.1.3", "the middle fragment is not empty", send(fragments("", "middle", "")...),
		want(text("middle")), done)

	hello := "Hello-\xc2\xb5@\xc3\x9f\xc3\xb6\xc3\xa4\xc3\xbc\xc3\xa0\xc3\xa1-UTF-8!!"
	add("6.2.1", "valid", send(raw.Whole(raw.Text, []byte(hello))), want(text(hello)), done)
	add("6.2.2", "cut between code points", send(fragments(hello[:12], hello[12:])...),
		want(text(hello)), done)
	add("6.2.3", "fragments of one byte", send(octets(hello)...), want(text(hello)), done)
	add("6.2.4", "fragments of one byte", send(octets(kosme)...), want(text(kosme)), done)

	bad := kosme + "\xed\xa0\x80edited"
	add("6.3.1", "a surrogate", send(raw.Whole(raw.Text, []byte(bad))), closedWith(1007))
	add("6.3.2", "a surrogate in fragments of one byte", send(octets(bad)...), closedWith(1007))

	// The last part never goes out: the server must have failed the text before.
	early := fragments(kosme, "\xf4\x90\x80\x80", "edited")
	add("6.4.1", "bad second fragment", send(early[0]), send(early[1]), closedWith(1007))
	early = fragments(kosme+"\xf4", "\x90", "edited")
	add("6.4.2", "bad across two fragments", send(early[0]), send(early[1]), closedWith(1007))
	frame := raw.Encode(raw.Whole(raw.Text, []byte(kosme+"\xf4\x90\x80\x80edited")))
	good := 6 + len(kosme) // header, mask, valid text
	add("6.4.3", "bad inside a frame", bytesCut(0, frame[:good]), bytesCut(0, frame[good:good+4]),
		closedWith(1007))
	add("6.4.4", "bad inside a frame, the second byte tells", bytesCut(0, frame[:good+1]),
		bytesCut(0, frame[good+1:good+2]), closedWith(1007))

	for g, sequences := range utf8Sequences() {
		for i, s := range sequences {
			id := fmt.Sprintf("6.%d.%d", 5+g, i+1)
			if utf8.ValidString(s) {
				add(id, "valid", send(raw.Whole(raw.Text, []byte(s))), want(text(s)), done)
			} else {
				add(id, "invalid", send(raw.Whole(raw.Text, []byte(s))), closedWith(1007))
			}
		}
	}
	runCases(t, cases)
}

// utf8Sequences are the groups 6.5 to 6.23, after Markus Kuhn's UTF-8 decoder
// stress test.
func utf8Sequences() [][]string {
	var prefixes []string
	for i := range len(kosme) {
		prefixes = append(prefixes, kosme[:i+1])
	}
	return [][]string{
		{"hello$world", "hello\xc2\xa2world", "hello\xe2\x82\xacworld", "hello\xf0\xa4\xad\xa2world",
			kosme},
		prefixes,
		// the first of each length
		{"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"},
		// of five and six bytes
		{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"},
		// the last of each length
		{"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"},
		// too large
		{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"},
		// boundaries
		{"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80"},
		// unexpected
		append(continuations(), allContinuations()),
		// starts
		{lonely(0xc0, 0xdf), lonely(0xe0, 0xef), lonely(0xf0, 0xf7), lonely(0xf8, 0xfb),
			lonely(0xfc, 0xfd)},
		incomplete(),
		{concat(incomplete())},
		{"\xfe", "\xff", "\xfe\xfe\xff\xff"},
		// overlong /
		{"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf",
			"\xfc\x80\x80\x80\x80\xaf"},
		// the largest overlong
		{"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf",
			"\xfc\x83\xbf\xbf\xbf\xbf"},
		// overlong NUL
		{"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80",
			"\xfc\x80\x80\x80\x80\x80"},
		{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80",
			"\xed\xbf\xbf"},
		{"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80",
			"\xed\xad\xbf\xed\xbf\xbf",
			"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80",
			"\xed\xaf\xbf\xed\xbf\xbf"},
		nonCharacters(),
		{"\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\xef\xbf\xbe", "\xef\xbf\xbf"},
	}
}

func continuations() []string {
	return []string{"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf",
		"\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf"}
}

func allContinuations() string {
	var b []byte
	for c := 0x80; c <= 0xbf; c++ {
		b = append(b, byte(c))
	}
	return string(b)
}

// lonely returns each start byte followed by a space.
func lonely(from, to int) string {
	var b []byte
	for c := from; c <= to; c++ {
		b = append(b, byte(c), ' ')
	}
	return string(b)
}

// incomplete are sequences whose last byte is missing.
func incomplete() []string {
	return []string{"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf"}
}

func concat(parts []string) (s string) {
	for _, p := range parts {
		s += p
	}
	return s
}

// nonCharacters are U+nFFFE and U+nFFFF of every plane: valid all the same.
func nonCharacters() (s []string) {
	for plane := range rune(17) {
		s = append(s, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return s
}
