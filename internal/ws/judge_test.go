package ws

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// A model is RFC 6455 as plainly as it can be written: it keeps all headers of a message.
type model struct {
	limit   int64
	deflate bool
	message []Header
}

func (m *model) next(h Header) int {
	op, rsv := h.First&0xf, h.First&0x70
	if op >= 8 {
		if rsv != 0 || op > 10 || h.First&0x80 == 0 || h.Size > 125 {
			return CodeProtocol
		}
		return 0
	}
	begins := len(m.message) == 0
	deflated := m.deflate && (begins && rsv&0x40 != 0 || !begins && m.message[0].First&0x40 != 0)
	if m.limit >= 0 {
		most := float64(m.limit)
		if deflated {
			most = 8*most + 4096
		}
		size := float64(h.Size)
		for _, f := range m.message {
			size += float64(f.Size)
		}
		if size > most {
			return CodeTooLarge
		}
	}
	switch {
	case rsv&0x30 != 0, rsv&0x40 != 0 && (!m.deflate || !begins), op > 2, (op == 0) == begins:
		return CodeProtocol
	}
	if m.message = append(m.message, h); h.First&0x80 != 0 {
		m.message = nil
	}
	return 0
}

// The Judge says what the model says, for any order of headers.
func TestJudgeAgainstAModel(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 6))
	firsts := []byte{0x01, 0x02, 0x81, 0x82, 0x00, 0x80, 0xc1, 0x41, 0x89, 0x8a, 0x88}
	for range 20_000 {
		limit := []int64{-1, 0, 10, 1000, 1 << 20}[rnd.IntN(5)]
		j := Judge{Limit: limit, Deflate: rnd.IntN(2) == 0}
		m := model{limit: limit, deflate: j.Deflate}
		for range 12 {
			h := Header{First: firsts[rnd.IntN(len(firsts))], Size: int64(rnd.IntN(12))}
			switch rnd.IntN(12) {
			case 0:
				h.First = byte(rnd.Uint32())
			case 1:
				h.Size = rnd.Int64N(9000)
			case 2:
				h.Size = rnd.Int64N(1 << 24)
			}
			got, want := j.Next(&h), m.next(h)
			if got == nil && want != 0 || got != nil && got.Code != want {
				t.Fatalf("limit %d, deflate %v: header %+v = %v, want %d", limit, j.Deflate, h, got, want)
			}
			if got != nil {
				break
			}
			if j.InMessage() != (len(m.message) > 0) {
				t.Fatalf("InMessage = %v behind %+v", j.InMessage(), h)
			}
		}
	}
}

// No limit is none, and the largest ones do not overflow.
func TestJudgeWithLargestLimits(t *testing.T) {
	for _, limit := range []int64{-1, math.MaxInt >> 2, 1 << 28} {
		for _, first := range []byte{0x82, 0xc2} {
			j := Judge{Limit: limit, Deflate: true}
			for range 3 {
				if v := j.Next(&Header{First: first, Size: 1 << 28}); v != nil {
					t.Errorf("limit %d: 2^28 bytes of %#x: %v", limit, first, v)
				}
			}
		}
	}
	j := Judge{Limit: -1}
	for i, h := range []Header{{First: 0x02, Size: math.MaxInt64}, {Size: math.MaxInt64}} {
		if v := j.Next(&h); (v == nil) != (i == 0) {
			t.Errorf("fragment %d of 2^63-1 bytes: %v", i, v)
		}
	}
}

var texts = []string{
	"", "a", "héllo", "€", "😀", "a€b😀c", "\xff", "a\xff", "\xe2\x82", "\xf0\x9f\x98", "\xed\xa0\x80",
	"\xc0\x80", "\xf4\x90\x80\x80", "\xe2\x28\xa1", "ok\xe2", strings.Repeat("é", 40) + "\xc3",
	strings.Repeat("x", 70) + "\xf0\x9f", "\xf8\x88\x80\x80\x80", "\x80", "a\x80b",
}

// Text in parts is judged like the whole, for all splits in two and all of single bytes;
// and as soon as no continuation could make it good.
func TestTextSoFar(t *testing.T) {
	for _, text := range texts {
		b := []byte(text)
		for cut := range len(b) + 1 {
			valid := 0
			ok := TextSoFar(b[:cut], &valid, false) && TextSoFar(b, &valid, true)
			if ok != utf8.Valid(b) {
				t.Errorf("%q, cut at %d: %v, want %v", text, cut, ok, utf8.Valid(b))
			}
		}
		valid, ok := 0, true
		for n := range len(b) {
			if ok = ok && TextSoFar(b[:n+1], &valid, false); ok != continues(b[:n+1]) {
				t.Errorf("%q, the first %d: %v, want %v", text, n+1, ok, continues(b[:n+1]))
			}
		}
		if ok = ok && TextSoFar(b, &valid, true); ok != utf8.Valid(b) {
			t.Errorf("%q byte by byte: %v, want %v", text, ok, utf8.Valid(b))
		}
	}
}

// continues reports whether something can follow b that makes it UTF-8.
func continues(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(b)
		}
		b = b[n:]
	}
	return true
}

func FuzzTextSoFar(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text), uint(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, cut uint) {
		valid, n := 0, int(cut%uint(len(b)+1))
		first := TextSoFar(b[:n], &valid, false)
		if first != continues(b[:n]) {
			t.Fatalf("%q: %v, want %v", b[:n], first, !first)
		}
		if ok := first && TextSoFar(b, &valid, true); ok != utf8.Valid(b) {
			t.Fatalf("%q, cut at %d: %v, want %v", b, n, ok, !ok)
		}
	})
}

// ParseClose reads what ClosePayload writes, and refuses what may not be sent.
func TestClosePayloads(t *testing.T) {
	for code := range 5100 {
		_, _, v := ParseClose(ClosePayload(code, "why"))
		assigned := code >= 1000 && code <= 1014 && code != 1004 && code != 1006
		sent := assigned || code >= 3000 && code < 5000
		if (v == nil) != sent {
			t.Errorf("a close frame with %d: %v, want it accepted: %v", code, v, sent)
		}
		if ValidCloseCode(code) != (sent && code != NoStatus && code != 1010) {
			t.Errorf("ValidCloseCode(%d) = %v", code, !sent)
		}
	}
	if code, reason, v := ParseClose(nil); code != NoStatus || reason != "" || v != nil {
		t.Errorf("an empty payload = %d %q %v, want 1005", code, reason, v)
	}
	for payload, code := range map[string]int{
		"\x03": CodeProtocol, "\x03\xe8\xff": CodeInvalidUTF8, "\x03\xe8\xe2\x82": CodeInvalidUTF8,
	} {
		if _, _, v := ParseClose([]byte(payload)); v == nil || v.Code != code {
			t.Errorf("ParseClose(%q) = %v, want %d", payload, v, code)
		}
	}
	for _, text := range slices.Concat(texts, []string{
		strings.Repeat("€", 100), strings.Repeat("x", 122) + "😀", strings.Repeat("\xff", 300),
	}) {
		r := CleanReason(text)
		fits := utf8.ValidString(text) && len(text) <= MaxReason
		if len(r) > MaxReason || !utf8.ValidString(r) || fits && r != text {
			t.Errorf("CleanReason(%q) = %q", text, r)
		}
		if code, got, v := ParseClose(ClosePayload(4000, r)); code != 4000 || got != r || v != nil {
			t.Errorf("the reason %q comes back as %q, %v", r, got, v)
		}
	}
}

func deflated(p []byte) (d []byte) {
	Deflate(p, func(b []byte) { d = bytes.Clone(b) })
	return d
}

// What is deflated comes back, whatever it is; and no more than the limit comes out.
func TestDeflateRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for i := range 200 {
		p := make([]byte, rnd.IntN(1<<(i%18)))
		for k := range p {
			p[k] = byte(rnd.IntN(1 + i%256))
		}
		n := int64(len(p))
		for limit, ok := range map[int64]bool{-1: true, n: true, n + 1: true, n - 1: n == 0} {
			got, err := Inflate(deflated(p), limit, false, nil, nil)
			if ok != (err == nil) || ok && !bytes.Equal(got, p) || !ok && err != error(ErrTooLarge) {
				t.Fatalf("%d bytes with limit %d: %d bytes, %v", n, limit, len(got), err)
			}
		}
	}
	bomb := deflated(make([]byte, 8<<20))
	most := 0
	charge := func(size int) error { most = max(most, size); return nil }
	_, err := Inflate(bomb, 1<<20, false, charge, nil)
	if err != error(ErrTooLarge) || most > 4<<20 {
		t.Errorf("a bomb: %v, and %d bytes were held, want a few times the limit", err, most)
	}
}

func FuzzInflate(f *testing.F) {
	f.Add(deflated([]byte("hello, hello, hello")), uint16(100))
	f.Add([]byte("\x03\x00\x03\x00"), uint16(0))
	f.Add([]byte{0, 1, 0, 0xfe, 0xff, 'x', 0}, uint16(1))
	f.Fuzz(func(t *testing.T, b []byte, limit uint16) {
		got, err := Inflate(b, int64(limit), false, nil, nil)
		if err == nil && len(got) > int(limit) {
			t.Fatalf("%d bytes came out, the limit is %d", len(got), limit)
		}
		v, ok := err.(*Violation)
		if err != nil && (!ok || v.Code != CodeTooLarge && v.Code != CodeProtocol) {
			t.Fatalf("the error is %v, want a violation", err)
		}
	})
}
