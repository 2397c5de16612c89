package ws

import "math"

// A Violation is a client's breach of the protocol or of a limit.
type Violation struct {
	Code int    // of the close frame that answers it
	Text string // what was wrong
}

// Error returns the text.
func (v *Violation) Error() string { return v.Text }

// Close codes of violations (RFC 6455, section 7.4.1).
const (
	CodeProtocol    = 1002
	CodeInvalidUTF8 = 1007
	CodeTooLarge    = 1009
)

func breach(text string) *Violation { return &Violation{CodeProtocol, text} }

// The violations that others compare with.
var (
	ErrTooLarge = &Violation{CodeTooLarge, "the message is above the limit"}
	ErrBadUTF8  = &Violation{CodeInvalidUTF8, "the text is not UTF-8"}

	errUnmasked   = breach("a client's frame must be masked")
	errBadLength  = breach("a frame length has its highest bit set")
	errLongLength = breach("a frame length is not in its shortest form")
)

// A Judge watches the order of a client's frames (RFC 6455, sections 5.2 to 5.5, and
// RFC 7692, section 6) and the size of its messages.
type Judge struct {
	Limit   int64 // of a message in bytes after inflating; negative for none
	Deflate bool  // whether RSV1 may announce a deflated message

	inMessage bool  // a data message has begun and not ended
	deflated  bool  // the current message is
	size      int64 // announced so far for the current message
}

// deflatedLimit is how many bytes the deflated form of a message may have: deflate can
// make data larger, and how much is the sender's choice of blocks.
func deflatedLimit(limit int64) int64 {
	const most = math.MaxInt / 2
	return 8*min(limit, most/8-4<<10) + 4<<10
}

// InMessage reports whether a data message has begun and its last frame has not.
func (j *Judge) InMessage() bool { return j.inMessage }

// Deflated reports whether the current message, or the last one, is deflated.
func (j *Judge) Deflated() bool { return j.deflated }

// Next takes the header of the next frame and returns what is wrong with it, or nil.
func (j *Judge) Next(h *Header) *Violation {
	if h.Control() {
		return judgeControl(h)
	}
	begins := !j.inMessage
	if begins {
		j.deflated, j.size = j.Deflate && h.First&Rsv1 != 0, 0
	}
	limit := j.Limit
	if j.deflated && limit >= 0 {
		limit = deflatedLimit(limit)
	}
	switch op := h.Opcode(); {
	case limit >= 0 && h.Size > limit-j.size:
		return ErrTooLarge
	case h.First&(rsv2|rsv3) != 0:
		return breach("a reserved bit is set")
	case h.First&Rsv1 != 0 && (!j.Deflate || !begins):
		return breach("RSV1 is set where nothing was agreed on or no message begins")
	case op > OpBinary:
		return breach("the opcode is not known")
	case op == OpContinuation && begins:
		return breach("a continuation frame continues nothing")
	case op != OpContinuation && !begins:
		return breach("a new message begins before the last one has ended")
	}
	j.size += h.Size
	if j.size < 0 { // no limit, and fragments of 2^63 bytes together
		return ErrTooLarge
	}
	j.inMessage = !h.Fin()
	return nil
}

func judgeControl(h *Header) *Violation {
	switch {
	case h.First&(Rsv1|rsv2|rsv3) != 0:
		return breach("a reserved bit is set on a control frame")
	case h.Opcode() > OpPong:
		return breach("the opcode is not known")
	case !h.Fin():
		return breach("a control frame is fragmented")
	case h.Size > MaxControl:
		return breach("a control frame has more than 125 bytes")
	}
	return nil
}
