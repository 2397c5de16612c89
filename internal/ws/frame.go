// Package ws is what RFC 6455 says about bytes: frame headers and their order, masks,
// UTF-8 that comes in parts, close frames, and permessage-deflate of RFC 7692. It
// knows no connection and no socket, keeps no state but where a type says so, and does
// no I/O.
package ws

import "encoding/binary"

// Opcodes (RFC 6455, section 5.2).
const (
	OpContinuation = 0
	OpText         = 1
	OpBinary       = 2
	OpClose        = 8
	OpPing         = 9
	OpPong         = 10

	controlBit = 8 // of the opcodes of control frames
)

// Bits of a frame's first byte.
const (
	Fin  = 0x80
	Rsv1 = 0x40 // the message is deflated (RFC 7692, section 6)
	rsv2 = 0x20
	rsv3 = 0x10
)

// Sizes in bytes.
const (
	MaxHeader       = 10             // of a frame that is not masked
	MaxClientHeader = MaxHeader + 4  // of a masked one
	MaxControl      = 125            // of a control frame's payload
	MaxReason       = MaxControl - 2 // of a close reason
)

// A Header is that of one frame of a client.
type Header struct {
	First byte   // FIN, RSV1 to RSV3 and the opcode
	Size  int64  // of the payload
	Mask  uint32 // as Unmask takes it
	Len   int    // bytes of the header itself
}

// Fin reports whether the frame is the last of its message.
func (h *Header) Fin() bool { return h.First&Fin != 0 }

// Opcode returns the opcode.
func (h *Header) Opcode() byte { return h.First & 0xf }

// Control reports whether the frame is a control frame.
func (h *Header) Control() bool { return h.First&controlBit != 0 }

// ParseHeader reads the header that b begins with. It reports false if not all of it
// is there yet, and a violation as soon as it is certain: a frame that is not masked
// (section 5.1), or a length that is negative or not the shortest form (section 5.2).
func ParseHeader(b []byte) (h Header, whole bool, v *Violation) {
	if len(b) < 2 {
		return h, false, nil
	}
	if b[1]&0x80 == 0 {
		return h, false, errUnmasked
	}
	h.First, h.Size, h.Len = b[0], int64(b[1]&0x7f), 6
	switch h.Size {
	case 126:
		h.Len = 8
		if len(b) >= 4 {
			h.Size = int64(binary.BigEndian.Uint16(b[2:]))
		}
		if len(b) >= 4 && h.Size < 126 {
			return h, false, errLongLength
		}
	case 127:
		h.Len = 14
		if len(b) >= 10 {
			h.Size = int64(binary.BigEndian.Uint64(b[2:]))
		}
		switch {
		case len(b) >= 10 && h.Size < 0:
			return h, false, errBadLength
		case len(b) >= 10 && h.Size <= 0xffff:
			return h, false, errLongLength
		}
	}
	if len(b) < h.Len {
		return h, false, nil
	}
	h.Mask = binary.LittleEndian.Uint32(b[h.Len-4:])
	return h, true, nil
}

// AppendFrame appends a whole frame of a server. Its first byte is FIN, RSV1 and opcode.
func AppendFrame(b []byte, first byte, payload []byte) []byte {
	if need := len(payload) + MaxHeader; cap(b)-len(b) < need {
		b = append(make([]byte, 0, len(b)+need), b...)
	}
	switch n := len(payload); {
	case n <= 125:
		b = append(b, first, byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, first, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, first, 127), uint64(n))
	}
	return append(b, payload...)
}

// CountFrames returns how many of the server's frames that b begins with are whole.
func CountFrames(b []byte) (n int) {
	for len(b) >= 2 {
		size, header := uint64(b[1]), 2
		switch {
		case size == 126 && len(b) >= 4:
			size, header = uint64(binary.BigEndian.Uint16(b[2:])), 4
		case size == 127 && len(b) >= 10:
			size, header = binary.BigEndian.Uint64(b[2:]), 10
		case size >= 126:
			return n
		}
		if uint64(len(b)-header) < size {
			return n
		}
		b = b[header+int(size):]
		n++
	}
	return n
}

// AppendClientHeader appends the header of a masked frame, as ParseHeader reads it.
func AppendClientHeader(b []byte, h Header) []byte {
	switch {
	case h.Size <= 125:
		b = append(b, h.First, 0x80|byte(h.Size))
	case h.Size <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, h.First, 0x80|126), uint16(h.Size))
	default:
		b = binary.BigEndian.AppendUint64(append(b, h.First, 0x80|127), uint64(h.Size))
	}
	return binary.LittleEndian.AppendUint32(b, h.Mask)
}
