package gateway

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// firstAlloc is what is allocated at once for a message of which some bytes have
// come; a longer one grows with what comes.
const firstAlloc = 64 << 10

// A simpleFrame is the header of the simplest kind of message: one text or binary
// frame. Most messages are, and reading them past the library halves the work for
// each. Whatever else comes is the library's.
type simpleFrame struct {
	t        MessageType
	deflated bool
	size     int    // of the payload
	header   int    // bytes
	key      uint32 // mask
}

// simpleFrame reads the header of the next message if all of it is here and it is
// of that kind. The scanner has let it pass, so the frame is masked and within
// the limit; the caller is between two messages.
func (l *link) simpleFrame() (f simpleFrame, ok bool) {
	b := l.in
	if len(b) < 6 {
		return f, false
	}
	first := b[0]
	if f.deflated = l.scan.deflate && first&rsv1Bit != 0; f.deflated {
		first &^= rsv1Bit
	}
	switch first {
	case finBit | opText:
		f.t = MessageText
	case finBit | opBinary:
		f.t = MessageBinary
	default:
		return f, false
	}
	f.size, f.header = int(b[1]&0x7f), 6
	switch {
	case f.size == 126 && len(b) >= 8:
		f.size, f.header = int(binary.BigEndian.Uint16(b[2:])), 8
	case f.size == 127 && len(b) >= 14:
		f.size, f.header = int(binary.BigEndian.Uint64(b[2:])), 14
	case f.size >= 126:
		return f, false
	}
	f.key = binary.LittleEndian.Uint32(b[f.header-4:])
	return f, true
}

// takeFrame takes the payload of a simple frame: out of the received bytes, and
// then as it comes. Text is checked as it comes.
func (l *link) takeFrame(f simpleFrame) (Message, error) {
	l.in = l.in[f.header:]
	data := []byte{}
	if len(l.in) < f.size { // otherwise append makes it, without clearing it first
		data = make([]byte, 0, min(f.size, max(len(l.in), firstAlloc)))
	}
	for valid := 0; ; {
		have := len(data)
		if err := l.receiveInto(&data, f.size); err != nil {
			return Message{}, err
		}
		unmask(data[have:], f.key, have)
		whole := len(data) == f.size
		if f.t == MessageText && !f.deflated && !textSoFar(data, &valid, whole) {
			return Message{}, errBadUTF8
		}
		if whole {
			return l.message(f.t, data, f.deflated)
		}
	}
}

// takeControl takes the next frame if it is a control frame as it should be, all
// of it here, between two messages. A ping is answered, a pong has done its work
// by coming, and a close frame is the error. What is not as it should be is left
// to the library's judgement.
func (l *link) takeControl() (ok bool, err error) {
	b := l.in
	if len(b) < 6 || b[0] < finBit|opClose || b[0] > finBit|opPong {
		return false, nil
	}
	n := int(b[1] & 0x7f)
	if n > maxControl || len(b) < 6+n {
		return false, nil
	}
	var payload [maxControl]byte
	p := append(payload[:0], b[6:6+n]...)
	unmask(p, binary.LittleEndian.Uint32(b[2:]), 0)
	switch b[0] &^ finBit {
	case opPing:
		l.s.out.pong(p)
	case opClose:
		if err, ok = peerClose(p); !ok {
			return false, nil
		}
	}
	l.in = b[6+n:]
	return true, err
}

// A peerClosed is the end of a socket by its peer's close frame.
type peerClosed struct {
	code   int
	reason string
}

func (e *peerClosed) Error() string { return fmt.Sprintf("the peer closed with %d", e.code) }

// peerClose reads the payload of a close frame (RFC 6455, section 5.5.1).
func peerClose(p []byte) (err error, ok bool) {
	if len(p) == 0 {
		return &peerClosed{code: closeNoStatus}, true
	}
	if len(p) < 2 || !utf8.Valid(p[2:]) {
		return nil, false
	}
	code := int(binary.BigEndian.Uint16(p))
	if !validCloseCode(code) && code != 1010 {
		return nil, false
	}
	return &peerClosed{code, string(p[2:])}, true
}

// receiveInto appends some of the next bytes to data, which is to become size
// bytes long.
func (l *link) receiveInto(data *[]byte, size int) error {
	d := *data
	if len(l.in) > 0 || size == 0 {
		n := min(len(l.in), size-len(d))
		*data, l.in = append(d, l.in[:n]...), l.in[n:]
		return nil
	}
	if len(d) == cap(d) {
		d = append(make([]byte, 0, min(size, 4*len(d))), d...)
	}
	n, err := l.readDirect(d[len(d):min(cap(d), size)])
	*data = d[:len(d)+n]
	return err
}

// unmask takes the mask off the part of a payload that begins at the offset (RFC
// 6455, section 5.3).
func unmask(b []byte, key uint32, offset int) {
	key = bits.RotateLeft32(key, -8*(offset&3))
	key64 := uint64(key)<<32 | uint64(key)
	for len(b) >= 32 { // the loop takes as long as what it does to 8 bytes
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key64)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^key64)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^key64)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^key64)
		b = b[32:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key64)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i & 3)))
	}
}
