package ws

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// NoStatus is the code that stands for a close frame without one; it is never sent.
const NoStatus = 1005

// ValidCloseCode reports whether a server may send the code (RFC 6455, section 7.4, and
// the IANA registry).
func ValidCloseCode(code int) bool {
	switch code {
	case 1004, NoStatus, 1006:
		return false
	case 1010: // only a client misses an extension
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// CleanReason makes any text fit to be a close reason: valid UTF-8 of at most
// MaxReason bytes.
func CleanReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= MaxReason {
		return reason
	}
	n := MaxReason
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

// ClosePayload is the payload of a close frame (section 5.5.1). NoStatus makes an empty
// one.
func ClosePayload(code int, reason string) []byte {
	if code == NoStatus {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(reason)), uint16(code)),
		reason...)
}

// ParseClose reads the payload of a client's close frame.
func ParseClose(p []byte) (code int, reason string, v *Violation) {
	if len(p) == 0 {
		return NoStatus, "", nil
	}
	if len(p) == 1 {
		return 0, "", breach("a close frame has a payload of one byte")
	}
	code = int(binary.BigEndian.Uint16(p))
	switch {
	case !ValidCloseCode(code) && code != 1010:
		return 0, "", breach("a close frame has a code that may not be sent")
	case !utf8.Valid(p[2:]):
		return 0, "", ErrBadUTF8
	}
	return code, string(p[2:]), nil
}
