package gateway

import (
	"encoding/binary"
	"sync"
)

// Opcodes (RFC 6455, section 5.2).
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10

	controlBit = 8 // of the opcodes of control frames
)

const (
	finBit  = 0x80
	rsv1Bit = 0x40 // the message is deflated (RFC 7692, section 6)

	maxHeader  = 10  // of a frame that is not masked
	maxControl = 125 // bytes of a control frame's payload
	maxReason  = maxControl - 2
)

// A frame is one encoded server frame: header and payload, not masked, so the
// same bytes serve every socket it is sent to. Small messages for one socket that wait
// behind each other are put into one. A frame of one socket is recycled when it is
// released; one that many sockets share is left to the collector, for counting its
// holders would cost more.
type frame struct {
	b      []byte
	key    string  // of Message.Key
	shared bool    // by many sockets: never recycled
	notify *notice // who waits for it, or nil; not if shared
	more   int     // messages in it besides the first
}

// noMessage is frame.more of a pong: it is none of the messages that are counted.
const noMessage = -1

func (f *frame) messages() int { return 1 + f.more }

// joins reports whether the frame can share a buffer with others like it.
func (f *frame) joins() bool {
	return !f.shared && f.key == "" && f.notify == nil && cap(f.b) <= maxChunk
}

// A notice tells what became of a frame. It is guarded by the outbox's lock.
type notice struct{ written, lost bool }

// maxChunk is the size in bytes of the largest frame buffer that messages share. It
// is copied once more if more frames wait.
const maxChunk = 16 << 10

// framePools recycle frames by the capacity of their buffers; larger ones are left
// to the collector.
var (
	frameCaps  = [...]int{256, 1 << 10, 4 << 10, maxChunk, 64<<10 + maxHeader}
	framePools [len(frameCaps)]sync.Pool
)

// newFrame returns an encoded frame for one socket.
func newFrame(first byte, payload []byte, key string) *frame {
	f := emptyFrame(len(payload) + maxHeader)
	f.b = appendFrame(f.b[:0], first, payload)
	f.key = key
	return f
}

func emptyFrame(size int) *frame {
	for i, most := range frameCaps {
		if size <= most {
			if f, ok := framePools[i].Get().(*frame); ok {
				return f
			}
			return &frame{b: make([]byte, 0, most)}
		}
	}
	return new(frame)
}

// release gives up the frame.
func (f *frame) release() {
	if f.shared {
		return
	}
	f.key, f.notify, f.more = "", nil, 0
	for i, most := range frameCaps {
		if cap(f.b) == most {
			framePools[i].Put(f)
			return
		}
	}
}

// appendFrame appends a whole frame. Its first byte is FIN, RSV1 and opcode.
func appendFrame(b []byte, first byte, payload []byte) []byte {
	if need := len(payload) + maxHeader; cap(b)-len(b) < need {
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

// dataByte is the first byte of the only frame of a message.
func dataByte(t MessageType, deflated bool) byte {
	b := byte(finBit | opText)
	if t == MessageBinary {
		b = finBit | opBinary
	}
	if deflated {
		b |= rsv1Bit
	}
	return b
}

// closePayload is the payload of a close frame (RFC 6455, section 5.5.1). Code
// 1005 stands for a frame without one.
func closePayload(code int, reason string) []byte {
	if code == closeNoStatus {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(reason)), uint16(code)), reason...)
}
