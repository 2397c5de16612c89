package gateway

import (
	"errors"
	"io"
	"sync"
	"unicode/utf8"
)

const scratchSize = 4 << 10 // of the buffers that short messages are read into, and headers put together in

var scratchBufs = sync.Pool{New: func() any { return new([scratchSize]byte) }}

// receiveMessage returns the next message, or errIdle if there was none after
// all. Once the socket closes it only counts what comes.
func (l *link) receiveMessage() (Message, error) {
	if f, ok := l.simpleFrame(); ok {
		m, err := l.takeFrame(f)
		if err == nil && l.s.isClosing() {
			err = l.drain(len(m.Data))
		}
		return m, err
	}
	if ok, err := l.takeControl(); ok {
		if err == nil {
			err = errIdle
		}
		return Message{}, err
	}
	t, r, err := l.next()
	if err != nil {
		if errors.Is(err, errIdle) {
			l.rest()
		}
		return Message{}, err
	}
	var m Message
	if l.s.isClosing() {
		err = l.skipMessage(r)
	} else {
		m, err = l.readMessage(t, r)
	}
	if err == nil {
		l.rest()
	}
	return m, err
}

// skipMessage reads a message that nobody wants any more.
func (l *link) skipMessage(r io.Reader) error {
	scratch := scratchBufs.Get().(*[scratchSize]byte)
	defer scratchBufs.Put(scratch)
	for {
		n, err := r.Read(scratch[:])
		if err == io.EOF {
			return l.drain(n)
		}
		if err == nil {
			err = l.drain(n)
		}
		if err != nil {
			return err
		}
	}
}

// readMessage reads the message that the library has begun.
func (l *link) readMessage(t MessageType, r io.Reader) (Message, error) {
	deflated := l.lib.deflated
	data, err := gather(available{l, r}, t == MessageText && !deflated)
	if err != nil {
		return Message{}, err
	}
	return l.message(t, data, deflated)
}

// message returns the message whose payload has come, text that is not deflated
// checked.
func (l *link) message(t MessageType, payload []byte, deflated bool) (m Message, err error) {
	if deflated {
		payload, err = inflate(payload, l.scan.limit, t == MessageText)
	}
	return Message{Type: t, Data: payload}, err
}

// gather reads all that r has. Nothing is allocated on an announced length: the
// result grows as it comes, and belongs to the caller. Text is checked as it comes,
// too, so that a bad start fails early (RFC 6455, section 8.1).
func gather(r io.Reader, text bool) ([]byte, error) {
	scratch := scratchBufs.Get().(*[scratchSize]byte)
	defer scratchBufs.Put(scratch)
	buf, n, valid := scratch[:], 0, 0
	for {
		if n == len(buf) {
			buf = append(make([]byte, 0, 2*n), buf...)[:2*n]
		}
		m, err := r.Read(buf[n:])
		n += m
		if err != nil && err != io.EOF {
			return nil, err
		}
		if text && !textSoFar(buf[:n], &valid, err == io.EOF) {
			return nil, errBadUTF8
		}
		if err == io.EOF {
			break
		}
	}
	if n <= scratchSize {
		return append(make([]byte, 0, n), buf[:n]...), nil
	}
	return buf[:n:n], nil
}

// available reads what has come of a message, so that the library does not wait
// for more while there is some that could be checked.
type available struct {
	l *link
	r io.Reader
}

func (a available) Read(p []byte) (int, error) {
	l := a.l
	if l.waiting() == 0 && !l.scan.idle() {
		switch err := l.fill(); err {
		case nil:
		case io.EOF:
			return 0, io.ErrUnexpectedEOF // of the connection, not of the message
		default:
			return 0, err
		}
	}
	// The library waits until it can fill what it is given. Where it stands between
	// two frames, or has bytes of its own, it is not known how many come of this one.
	n := 1
	if l.lib.br.Buffered() == 0 && len(l.in) > 0 && l.lib.handed.remain > 0 {
		n = int(min(l.lib.handed.remain, int64(len(l.in))))
	}
	return a.r.Read(p[:min(n, len(p))])
}

// textSoFar reports whether b can be, or if it is whole, is UTF-8. Up to the index
// valid it has been checked.
func textSoFar(b []byte, valid *int, whole bool) bool {
	*valid = validUpTo(b, *valid)
	return *valid == len(b) || *valid >= 0 && !whole
}

// validUpTo checks the UTF-8 of b from the index valid on. It returns the index
// up to which b is valid, which leaves out a last character that is not
// complete, or -1 if no continuation could make b valid.
func validUpTo(b []byte, valid int) int {
	rest := b[valid:]
	if utf8.Valid(rest) {
		return len(b)
	}
	for i := 1; i < utf8.UTFMax && i <= len(rest); i++ {
		if c := rest[len(rest)-i]; utf8.RuneStart(c) {
			if tail := rest[len(rest)-i:]; !utf8.FullRune(tail) && utf8.Valid(rest[:len(rest)-i]) {
				return len(b) - i
			}
			return -1
		}
	}
	return -1
}
