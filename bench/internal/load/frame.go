// Package load is the load generator: WebSocket clients made of raw frames
// over TCP, cheap and the same for every server, that check what they get.
package load

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// Opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// A frame is one frame from a server. The payload is part of the read buffer.
type frame struct {
	op         byte
	fin        bool
	compressed bool
	payload    []byte
}

// The bits of a frame's first byte beside its opcode.
const (
	final      = 0x80 // the last frame of its message
	compressed = 0x40
)

// AppendFrame appends a masked frame, as a client sends it, whatever its first byte says.
func AppendFrame(b []byte, first byte, payload []byte, mask [4]byte) []byte {
	b = append(b, first)
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(n))
	default:
		b = append(b, 0x80|127)
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, mask[:]...)
	for i, c := range payload {
		b = append(b, c^mask[i&3])
	}
	return b
}

// errShort says that the buffer does not hold the whole frame yet.
var errShort = errors.New("frame is not complete")

// parseFrame parses the frame at the beginning of b and returns its length.
// The error is errShort where b ends within the frame; size is then the length
// of the frame as far as it is known.
func parseFrame(b []byte) (f frame, size int, err error) {
	if len(b) < 2 {
		return f, 2, errShort
	}
	header, n := 2, uint64(b[1]&0x7f)
	switch n {
	case 126:
		header = 4
		if len(b) < header {
			return f, header, errShort
		}
		n = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		header = 10
		if len(b) < header {
			return f, header, errShort
		}
		n = binary.BigEndian.Uint64(b[2:])
	}
	if b[1]&0x80 != 0 {
		return f, 0, errors.New("frame of the server is masked")
	}
	if b[0]&0x30 != 0 {
		return f, 0, fmt.Errorf("frame has reserved bits: %#x", b[0])
	}
	if n > 1<<24 {
		return f, 0, fmt.Errorf("frame of %d bytes", n)
	}
	size = header + int(n)
	if len(b) < size {
		return f, size, errShort
	}
	return frame{
		op:         b[0] & 0x0f,
		fin:        b[0]&final != 0,
		compressed: b[0]&compressed != 0,
		payload:    b[header:size],
	}, size, nil
}
