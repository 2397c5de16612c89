// Package raw is a WebSocket client (RFC 6455, RFC 7692) for tests. It gives
// the test every byte: what the handshake says, how frames are cut, masked and
// timed. What comes back it holds to the letter of the RFCs.
package raw

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
)

// The opcodes of RFC 6455, section 5.2.
const (
	Continuation = 0x0
	Text         = 0x1
	Binary       = 0x2
	CloseOp      = 0x8
	Ping         = 0x9
	Pong         = 0xA
)

// The reserved bits of a frame. RSV1 marks a compressed message (RFC 7692).
const (
	RSV1 = 4
	RSV2 = 2
	RSV3 = 1
)

// A Frame is one frame. The zero values of the later fields make it a correct
// client frame: masked with a random key, its length encoded minimally.
type Frame struct {
	Fin     bool
	RSV     byte // RSV1 | RSV2 | RSV3
	Opcode  byte
	Payload []byte

	Unmasked bool    // only for sending: leave the mask out
	ZeroMask bool    // only for sending: mask with 00000000
	Long     int     // only for sending: encode the length in 16 or 64 bits even if it is short
	Announce *uint64 // only for sending: the length to announce instead of that of Payload
}

// Whole returns a frame that is a complete message, or a control frame.
func Whole(opcode byte, payload []byte) Frame {
	return Frame{Fin: true, Opcode: opcode, Payload: payload}
}

// Close returns a close frame with a code and a reason.
func Close(code int, reason string) Frame {
	p := binary.BigEndian.AppendUint16(nil, uint16(code))
	return Whole(CloseOp, append(p, reason...))
}

// Fragments cuts a message into frames: one for each part.
func Fragments(opcode byte, parts ...[]byte) []Frame {
	frames := make([]Frame, len(parts))
	for i, p := range parts {
		frames[i] = Frame{Opcode: Continuation, Payload: p, Fin: i == len(parts)-1}
	}
	frames[0].Opcode = opcode
	return frames
}

// Cut returns payload in parts of at most size bytes; at least one part.
func Cut(payload []byte, size int) [][]byte {
	var parts [][]byte
	for len(payload) > size {
		parts = append(parts, payload[:size])
		payload = payload[size:]
	}
	return append(parts, payload)
}

// Append appends the bytes of f to dst.
func (f Frame) Append(dst []byte) []byte {
	first := f.RSV<<4 | f.Opcode
	if f.Fin {
		first |= 0x80
	}
	dst = f.appendLength(append(dst, first))
	if f.Unmasked {
		return append(dst, f.Payload...)
	}
	var key [4]byte
	if !f.ZeroMask {
		binary.BigEndian.PutUint32(key[:], rand.Uint32())
	}
	dst = append(dst, key[:]...)
	start := len(dst)
	dst = append(dst, f.Payload...)
	mask(dst[start:], key)
	return dst
}

// mask is not watched by the race detector, which would take most of a test's time for it.
//
//go:norace
func mask(p []byte, key [4]byte) {
	for i := range p {
		p[i] ^= key[i&3]
	}
}

func (f Frame) appendLength(dst []byte) []byte {
	n := uint64(len(f.Payload))
	if f.Announce != nil {
		n = *f.Announce
	}
	mask := byte(0x80)
	if f.Unmasked {
		mask = 0
	}
	switch {
	case f.Long == 64 || n > 65535:
		return binary.BigEndian.AppendUint64(append(dst, mask|127), n)
	case f.Long == 16 || n > 125:
		return binary.BigEndian.AppendUint16(append(dst, mask|126), uint16(n))
	}
	return append(dst, mask|byte(n))
}

// Encode returns the bytes of frames, one after the other.
func Encode(frames ...Frame) []byte {
	size := 0
	for _, f := range frames {
		size += len(f.Payload) + 14
	}
	b := make([]byte, 0, size)
	for _, f := range frames {
		b = f.Append(b)
	}
	return b
}

// A ProtocolError says in what a server broke RFC 6455 or RFC 7692.
type ProtocolError struct{ Text string }

func (e *ProtocolError) Error() string { return "server broke the protocol: " + e.Text }

func broken(format string, args ...any) error {
	return &ProtocolError{fmt.Sprintf(format, args...)}
}

// maxFrame bounds what a server can make the test read.
const maxFrame = 256 << 20

// readFrame reads one server frame and checks all that can be told from one
// frame alone.
func readFrame(r io.Reader) (Frame, error) {
	var h [8]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return Frame{}, err
	}
	f := Frame{Fin: h[0]&0x80 != 0, RSV: h[0] >> 4 & 7, Opcode: h[0] & 0xF}
	if h[1]&0x80 != 0 {
		return f, broken("masked frame %#x", h[:2])
	}
	n := uint64(h[1])
	switch n {
	case 126:
		if _, err := io.ReadFull(r, h[:2]); err != nil {
			return f, midFrame(err)
		}
		if n = uint64(binary.BigEndian.Uint16(h[:])); n < 126 {
			return f, broken("length %d in 16 bits", n)
		}
	case 127:
		if _, err := io.ReadFull(r, h[:8]); err != nil {
			return f, midFrame(err)
		}
		if n = binary.BigEndian.Uint64(h[:]); n < 65536 {
			return f, broken("length %d in 64 bits", n)
		}
	}
	if f.Opcode >= CloseOp && (n > 125 || !f.Fin) {
		return f, broken("control frame of %d bytes, fin %v", n, f.Fin)
	}
	if n > maxFrame {
		return f, broken("frame of %d bytes", n)
	}
	f.Payload = make([]byte, n)
	_, err := io.ReadFull(r, f.Payload)
	return f, midFrame(err)
}

// midFrame makes of a clean end inside a frame what it is: an unexpected one.
func midFrame(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
