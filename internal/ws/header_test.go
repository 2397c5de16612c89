package ws

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"
)

// boundaries are lengths around which headers change.
var boundaries = []int64{
	0, 1, 124, 125, 126, 127, 128, 255, 256, 65534, 65535, 65536, 65537, 1<<31 - 1, 1 << 31, 1<<31 + 1,
	1<<32 - 1, 1 << 32, 1<<32 + 5, 1 << 40, math.MaxInt64 - 1, math.MaxInt64,
}

// A header comes back as it was written, and every part of it asks for more.
func TestHeaderRoundTrip(t *testing.T) {
	for _, size := range boundaries {
		for _, first := range []byte{0x01, 0x82, 0xc1, 0x00, 0x89, 0xff} {
			want := Header{First: first, Size: size, Mask: 0x04030201}
			b := AppendClientHeader(nil, want)
			want.Len = len(b)
			for n := range len(b) {
				if h, whole, v := ParseHeader(b[:n]); whole || v != nil {
					t.Errorf("%d bytes of a header of %d: %v, %v, %v, want more", n, size, h, whole, v)
				}
			}
			h, whole, v := ParseHeader(append(b, "payload"...))
			if !whole || v != nil || h != want {
				t.Errorf("header of %d = %+v, %v, %v, want %+v", size, h, whole, v, want)
			}
		}
	}
}

// A length has one form, the shortest (RFC 6455, section 5.2).
func TestHeaderLengthForms(t *testing.T) {
	for _, size := range boundaries {
		for form, ok := range map[byte]bool{
			126: size > 125 && size <= 0xffff,
			127: size > 0xffff,
		} {
			b := []byte{0x82, 0x80 | form}
			if form == 126 {
				if size > 0xffff {
					continue
				}
				b = binary.BigEndian.AppendUint16(b, uint16(size))
			} else {
				b = binary.BigEndian.AppendUint64(b, uint64(size))
			}
			length := len(b)
			b = append(b, 1, 2, 3, 4)
			for n := length; n <= len(b); n++ { // as soon as it is certain
				_, whole, v := ParseHeader(b[:n])
				if ok != (v == nil) || ok && whole != (n == len(b)) || v != nil && v.Code != CodeProtocol {
					t.Errorf("%d as form %d: whole %v, %v, want it accepted: %v", size, form, whole, v, ok)
				}
			}
		}
	}
	for _, b := range [][]byte{
		{0x81, 0x00}, {0x81, 0x7f}, // not masked
		{0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0}, // the highest bit
		bytes.Repeat([]byte{0xff}, 10),
	} {
		if _, whole, v := ParseHeader(b); whole || v == nil {
			t.Errorf("ParseHeader(%x) accepts it", b)
		}
	}
}

// AppendFrame writes what CountFrames counts, wherever it is cut.
func TestAppendAndCountFrames(t *testing.T) {
	var all []byte
	var ends []int
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 3} {
		payload := bytes.Repeat([]byte{0x81}, n)
		before := len(all)
		all = AppendFrame(all, Fin|OpText, payload)
		frame := all[before:]
		if !bytes.HasSuffix(frame, payload) || frame[1]&0x80 != 0 || len(frame)-n > MaxHeader {
			t.Errorf("the frame of %d bytes begins with %x", n, frame[:2])
		}
		ends = append(ends, len(all))
	}
	for cut := range len(all) + 1 {
		want := 0
		for _, end := range ends {
			if end <= cut {
				want++
			}
		}
		if cut > 300 && cut%1009 != 0 && want == CountFrames(all[:cut-1]) {
			continue // far from a boundary
		}
		if n := CountFrames(all[:cut]); n != want {
			t.Fatalf("CountFrames of %d bytes = %d, want %d", cut, n, want)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, size := range boundaries {
		f.Add(AppendClientHeader(nil, Header{First: 0x82, Size: size, Mask: 7}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, whole, v := ParseHeader(b)
		if whole && v != nil || whole && (h.Len > len(b) || h.Size < 0) {
			t.Fatalf("ParseHeader(%x) = %+v, %v, %v", b, h, whole, v)
		}
		if whole && !bytes.Equal(AppendClientHeader(nil, h), b[:h.Len]) {
			t.Fatalf("ParseHeader(%x) = %+v, which is not how it is written", b, h)
		}
		for n := range len(b) { // no part says what the whole does not
			if _, w, pv := ParseHeader(b[:n]); pv != nil && v == nil || w && !whole {
				t.Fatalf("%d bytes of %x: %v, %v; all: %v, %v", n, b, w, pv, whole, v)
			}
		}
		CountFrames(b)
	})
}

// Unmask takes the mask off at every offset, of every length, at every alignment.
func TestUnmask(t *testing.T) {
	const key = 0xd4c3b2a1
	mask := []byte{0xa1, 0xb2, 0xc3, 0xd4}
	for n := range 100 {
		for offset := range 9 {
			for align := range 9 {
				plain := make([]byte, n)
				buf := make([]byte, align+n+8)
				b := buf[align : align+n]
				for i := range plain {
					plain[i] = byte(i * 7)
					b[i] = plain[i] ^ mask[(offset+i)%4]
				}
				Unmask(b, key, offset)
				if !bytes.Equal(b, plain) {
					t.Fatalf("%d bytes at offset %d: %x, want %x", n, offset, b, plain)
				}
				if !bytes.Equal(buf[align+n:], make([]byte, 8)) {
					t.Fatalf("%d bytes at offset %d: bytes behind them are changed", n, offset)
				}
			}
		}
	}
}
