package ws

import (
	"io"
	"sync"
	"unicode/utf8"
)

// TextSoFar reports whether b can be, or if it is whole, is UTF-8. Up to the index
// valid it has been checked; TextSoFar moves that on.
func TextSoFar(b []byte, valid *int, whole bool) bool {
	*valid = validUpTo(b, *valid)
	return *valid == len(b) || *valid >= 0 && !whole
}

// validUpTo checks the UTF-8 of b from the index valid on. It returns the index up to
// which b is valid, which leaves out a last character that is not complete, or -1 if
// no continuation could make b valid.
func validUpTo(b []byte, valid int) int {
	end := len(b)
	for i := 1; i < utf8.UTFMax && i <= len(b)-valid; i++ {
		if tail := b[len(b)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				end -= i
			}
			break
		}
	}
	if !utf8.Valid(b[valid:end]) {
		return -1
	}
	return end
}

const scratchSize = 4 << 10 // of the buffers that short messages are read into

var scratchBufs = sync.Pool{New: func() any { return new([scratchSize]byte) }}

// Gather reads all that r has. The result grows as it comes, and belongs to the
// caller. Text is checked as it comes, so that a bad start fails early (RFC 6455,
// section 8.1): the error is ErrBadUTF8 then. Where held is not nil it is told of
// the size in bytes before more than a few kilobytes are held, and its error ends
// reading. Where memory is not nil it returns an empty slice with room for a result of a few
// kilobytes.
func Gather(r io.Reader, text bool, held func(size int) error, memory func(size int) []byte) (
	[]byte, error) {
	scratch := scratchBufs.Get().(*[scratchSize]byte)
	defer scratchBufs.Put(scratch)
	buf, n, valid := scratch[:], 0, 0
	for {
		if n == len(buf) {
			if held != nil {
				if err := held(2 * n); err != nil {
					return nil, err
				}
			}
			buf = append(make([]byte, 0, 2*n), buf...)[:2*n]
		}
		m, err := r.Read(buf[n:])
		n += m
		if err != nil && err != io.EOF {
			return nil, err
		}
		if text && !TextSoFar(buf[:n], &valid, err == io.EOF) {
			return nil, ErrBadUTF8
		}
		if err == io.EOF {
			break
		}
	}
	if n > scratchSize {
		return buf[:n:n], nil
	}
	if memory == nil {
		return append(make([]byte, 0, n), buf[:n]...), nil
	}
	return append(memory(n), buf[:n]...), nil
}
