package gateway

import "encoding/binary"

// A scanner watches the frame headers in the bytes a client sends, before the
// WebSocket library sees them. It stops what the library would answer wrongly or
// too late (an unmasked frame, an announced length above the limit), and knows
// whether the client is in the middle of something.
//
// What it passes on is still judged by the library: it checks no opcode,
// reserved bit or fragmentation.
type scanner struct {
	limit    int64 // of a message, negative for none
	deflate  bool  // whether RSV1 may announce a deflated message
	deflated bool  // the current message is

	inMessage bool  // a data message has begun and not ended
	messages  uint  // data messages begun
	size      int64 // announced so far for the current message
	remain    int64 // bytes of the current frame's payload that are still to come
	hdr       [14]byte
	n         int // bytes in hdr: a header that is not complete
}

// A violation is the client's breach of the protocol or of a limit.
type violation struct {
	cause Cause
	code  int
	text  string
}

func (v *violation) Error() string { return string(v.cause) + ": " + v.text }

var (
	errUnmasked  = &violation{CauseProtocolError, closeProtocol, "a client's frame must be masked"}
	errBadLength = &violation{CauseProtocolError, closeProtocol, "a frame length has its highest bit set"}
	errTooLarge  = &violation{CauseTooLarge, closeTooLarge, "the message is above the limit"}
	errBadUTF8   = &violation{CauseInvalidUTF8, closeInvalidUTF8, "the text is not UTF-8"}
)

// boundary reports whether the client is between two frames.
func (sc *scanner) boundary() bool { return sc.remain == 0 && sc.n == 0 }

// idle reports whether the client is between two messages.
func (sc *scanner) idle() bool { return sc.boundary() && !sc.inMessage }

// scan takes the next bytes and returns how many of them the library may have.
// With a violation the rest, and all that follows, must not reach it.
func (sc *scanner) scan(p []byte) (int, *violation) {
	for i := 0; i < len(p); {
		if sc.remain > 0 {
			skip := min(sc.remain, int64(len(p)-i))
			sc.remain -= skip
			i += int(skip)
			continue
		}
		need := sc.headerSize()
		if sc.n < need {
			took := copy(sc.hdr[sc.n:need], p[i:])
			sc.n += took
			i += took
			if sc.n < need || sc.headerSize() > sc.n {
				continue
			}
		}
		took := sc.n
		sc.n = 0
		if v := sc.header(); v != nil {
			return i - min(i, took), v
		}
	}
	return len(p), nil
}

// headerSize returns how many bytes the header has, as far as is known.
func (sc *scanner) headerSize() int {
	if sc.n < 2 {
		return 2
	}
	size := 2
	switch sc.hdr[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if sc.hdr[1]&0x80 != 0 {
		size += 4
	}
	return size
}

// header takes a complete header.
func (sc *scanner) header() *violation {
	length := int64(sc.hdr[1] & 0x7f)
	switch length {
	case 126:
		length = int64(binary.BigEndian.Uint16(sc.hdr[2:]))
	case 127:
		length = int64(binary.BigEndian.Uint64(sc.hdr[2:]))
	}
	switch {
	case sc.hdr[1]&0x80 == 0:
		return errUnmasked
	case length < 0:
		return errBadLength
	}
	if sc.hdr[0]&controlBit == 0 { // not a control frame
		if v := sc.data(length); v != nil {
			return v
		}
	}
	sc.remain = length
	return nil
}

// data takes the header of a data frame.
func (sc *scanner) data(length int64) *violation {
	size, deflated := sc.size, sc.deflated
	if !sc.inMessage {
		size, deflated = 0, sc.deflate && sc.hdr[0]&rsv1Bit != 0
	}
	limit := sc.limit
	if deflated {
		// Deflate makes incompressible data larger by 5 bytes in 64 KiB; what
		// is within that, the library judges by the inflated size.
		limit += limit>>8 + 64
	}
	if sc.limit >= 0 && length > limit-size {
		return errTooLarge
	}
	if !sc.inMessage {
		sc.messages++
	}
	sc.inMessage = sc.hdr[0]&finBit == 0
	sc.size, sc.deflated = size+length, deflated
	return nil
}
