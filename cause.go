package gateway

import (
	"fmt"
	"unicode/utf8"

	"github.com/wsgateway/gateway/internal/ws"
)

// An endpoint returns a CloseError to close its socket, with the code and reason for the
// close frame (RFC 6455, section 7.4).
//
// Code 0 means 1000. A code that may not be sent (below 1000, reserved, or
// above 4999) becomes 1011. A reason of more than 123 bytes, or a cause where it
// stands for the reason, is cut at a character boundary, and bytes that are not UTF-8
// are replaced.
type CloseError struct {
	Code   int    // of the close frame
	Reason string // empty means the cause

	// Cause is what the close event reports; empty means [CauseEndpoint]. It is
	// for endpoints that run other code, as package lua sets
	// [CauseScriptError].
	Cause Cause
}

// Error returns the code and the reason.
func (e *CloseError) Error() string { return fmt.Sprintf("close %d %q", e.Code, e.Reason) }

// A Cause says why a socket was closed. The same word is in the close event, the
// log and the counters, and it is the close reason where nobody gave another.
type Cause string

// All causes, with the close code that goes with each.
const (
	CauseClient         Cause = "client"          // the peer closed; its code, 1005 if it sent none
	CauseConnectionLost Cause = "connection_lost" // TCP ended without a close frame; 1006
	// Close, CloseWith or CloseAll, also of a Group; 1000 or the caller's
	CauseOperation Cause = "operation"
	// the endpoint's verdict; its code, 1011 for a plain error
	CauseEndpoint Cause = "endpoint"
	CausePanic    Cause = "panic" // the endpoint panicked; 1011
	// a script failed, and the host closes sockets then; 1011
	CauseScriptError  Cause = "script_error"
	CauseRouteRemoved Cause = "route_removed" // its pattern was removed; 1012
	CauseRateLimited  Cause = "rate_limited"  // above the rate, policy RateClose; 1008
	// its queue stayed full, or a write did not finish; 1008
	CauseSlowConsumer   Cause = "slow_consumer"
	CauseTooLarge       Cause = "too_large"       // a message above the read limit; 1009
	CauseProtocolError  Cause = "protocol_error"  // not RFC 6455; 1002
	CauseInvalidUTF8    Cause = "invalid_utf8"    // text that is not UTF-8; 1007
	CauseMessageTimeout Cause = "message_timeout" // a message took too long to arrive; 1008
	CauseIdle           Cause = "idle"            // no message in either direction; 1001
	CausePingTimeout    Cause = "ping_timeout"    // a ping was left unanswered; 1001
	CauseExpired        Cause = "expired"         // what admitted the socket has run out; 1008
	CauseDrain          Cause = "drain"           // Shutdown, 1001; or Drain, 1012
)

// allCauses are those above.
var allCauses = []Cause{
	CauseClient, CauseConnectionLost, CauseOperation, CauseEndpoint, CausePanic, CauseScriptError,
	CauseRouteRemoved, CauseRateLimited, CauseSlowConsumer, CauseTooLarge, CauseProtocolError,
	CauseInvalidUTF8,
	CauseMessageTimeout, CauseIdle, CausePingTimeout, CauseExpired, CauseDrain,
}

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

// checkClose is what CloseWith allows: code 0, which means 1000, or one that
// may be sent, and a reason that fits as it is.
func checkClose(code int, reason string) (int, error) {
	if code == 0 {
		code = closeNormal
	}
	if !ws.ValidCloseCode(code) {
		return 0, invalidf("close code %d may not be sent: use 1000 to 1003, 1007 to 1014 except "+
			"1010, or 3000 to 4999", code)
	}
	if len(reason) > ws.MaxReason || !utf8.ValidString(reason) {
		return 0, invalidf("a close reason is UTF-8 of at most %d bytes", ws.MaxReason)
	}
	return code, nil
}

// closed is the verdict e as the end of a socket.
func (e *CloseError) closed() Closed {
	code := e.Code
	if code == 0 {
		code = closeNormal
	} else if !ws.ValidCloseCode(code) {
		code = closeInternal
	}
	cause := e.Cause
	if cause == "" {
		cause = CauseEndpoint
	}
	reason := e.Reason
	if reason == "" {
		reason = string(cause) // which is the endpoint's text too
	}
	return Closed{Cause: cause, Code: code, Reason: ws.CleanReason(reason)}
}
