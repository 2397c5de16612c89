package gateway

import (
	"io"
	"sync"
	"unicode/utf8"
)

const scratchSize = 4 << 10 // of the buffer that short messages are read into

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
		return Message{}, err
	}
	if l.s.isClosing() {
		return Message{}, l.skipMessage(r)
	}
	data, err := l.readMessage(t, r)
	return Message{Type: t, Data: data}, err
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

// readMessage reads the message that the library has begun. Nothing is
// allocated on the announced length: a message grows as it comes. Text is
// checked as it comes, too, so that a bad start fails early (RFC 6455, section
// 8.1). The result belongs to the caller.
func (l *link) readMessage(t MessageType, r io.Reader) ([]byte, error) {
	scratch := scratchBufs.Get().(*[scratchSize]byte)
	defer scratchBufs.Put(scratch)
	buf, n, valid := scratch[:], 0, 0
	for {
		if n == len(buf) {
			buf = append(make([]byte, 0, 2*n), buf...)[:2*n]
		}
		p, err := l.room(buf[n:])
		if err != nil {
			return nil, err
		}
		m, err := r.Read(p)
		n += m
		if t == MessageText {
			if valid = validUpTo(buf[:n], valid); valid < 0 || err == io.EOF && valid < n {
				return nil, errBadUTF8
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if n <= scratchSize {
		return append(make([]byte, 0, n), buf[:n]...), nil
	}
	return buf[:n:n], nil
}

// room returns as much of p as can be read without waiting in the library.
func (l *link) room(p []byte) ([]byte, error) {
	if l.scan.deflated {
		return p, nil
	}
	if l.waiting() == 0 && !l.scan.idle() {
		if err := l.fill(); err != nil {
			return nil, err
		}
	}
	if n := l.waiting(); n > 0 && n < len(p) {
		return p[:n], nil
	}
	return p, nil
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
