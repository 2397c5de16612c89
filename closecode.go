package gateway

import (
	"strings"
	"unicode/utf8"
)

// Close codes (RFC 6455, section 7.4.1, and the IANA registry).
const (
	closeNormal      = 1000
	closeGoingAway   = 1001
	closeProtocol    = 1002
	closeNoStatus    = 1005 // stands for a close frame without a code; never sent
	closeAbnormal    = 1006 // stands for no close frame; never sent
	closeInvalidUTF8 = 1007
	closePolicy      = 1008
	closeTooLarge    = 1009
	closeInternal    = 1011
	closeRestart     = 1012
)

// validCloseCode reports whether a server may send the code.
func validCloseCode(code int) bool {
	switch {
	case code == 1004, code == closeNoStatus, code == closeAbnormal:
		return false
	case code == 1010: // only a client misses an extension
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// cleanReason makes any text fit to be a close reason: valid UTF-8 of at most
// 123 bytes.
func cleanReason(reason string) string {
	reason = strings.ToValidUTF8(reason, "\uFFFD")
	if len(reason) <= maxReason {
		return reason
	}
	n := maxReason
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}

// checkClose is what CloseWith allows: code 0, which means 1000, or one that
// may be sent, and a reason that fits as it is.
func checkClose(code int, reason string) (int, error) {
	if code == 0 {
		code = closeNormal
	}
	if !validCloseCode(code) {
		return 0, invalidf("close code %d may not be sent: use 1000 to 1003, 1007 to 1014 except 1010, or 3000 to 4999", code)
	}
	if len(reason) > maxReason || !utf8.ValidString(reason) {
		return 0, invalidf("a close reason is UTF-8 of at most %d bytes", maxReason)
	}
	return code, nil
}

// closed is the verdict e as the end of a socket.
func (e *CloseError) closed() Closed {
	code := e.Code
	if code == 0 {
		code = closeNormal
	} else if !validCloseCode(code) {
		code = closeInternal
	}
	cause := e.Cause
	if cause == "" {
		cause = CauseEndpoint
	}
	return Closed{Cause: cause, Code: code, Reason: cleanReason(e.Reason)}
}
