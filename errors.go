package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// An Error is what an operation, or a refused upgrade, reports. It marshals to
// exactly {"type", "error", "status"}, the error object; everything that leaves
// the process goes through it.
//
// errors.Is compares the Type, so errors.Is(err, gateway.ErrNotFound) holds for
// every error of type not_found whatever its text.
type Error struct {
	Type    string `json:"type"`   // stable; programs switch on it
	Message string `json:"error"`  // for people; may change
	Status  int    `json:"status"` // an HTTP status code
	Err     error  `json:"-"`      // what caused it, or nil; never leaves the process
}

// The errors of operations and of refused upgrades, by type. Errors that are
// returned carry a text of their own; compare with errors.Is.
var (
	ErrInvalid      = newError("invalid_request", http.StatusBadRequest, "the request is not valid")
	ErrUnauthorized = newError("unauthorized", http.StatusUnauthorized, "authentication is required")
	ErrForbidden    = newError("forbidden", http.StatusForbidden, "not allowed")
	ErrNotFound     = newError("not_found", http.StatusNotFound, "no socket has this id")
	ErrNoRoute      = newError("no_route", http.StatusNotFound, "no route for this path")
	ErrMethod       = newError("method_not_allowed", http.StatusMethodNotAllowed, "an upgrade is a GET request")
	ErrClosed       = newError("closed", http.StatusGone, "the socket is closing or closed")
	ErrTooLarge     = newError("too_large", http.StatusRequestEntityTooLarge, "the message is above the limit")
	ErrUpgrade      = newError("upgrade_required", http.StatusUpgradeRequired, "this is a WebSocket endpoint (RFC 6455, version 13)")
	ErrTooMany      = newError("too_many_sockets", http.StatusServiceUnavailable, "too many sockets")
	ErrQueueFull    = newError("queue_full", http.StatusTooManyRequests, "the socket's outbound queue is full: its client reads too slowly")
	ErrInternal     = newError("internal", http.StatusInternalServerError, "internal error")
	ErrUnsupported  = newError("not_implemented", http.StatusNotImplemented, "not supported")
	ErrShutdown     = newError("shutting_down", http.StatusServiceUnavailable, "the gateway is shutting down")
	ErrUnreachable  = newError("unreachable", http.StatusServiceUnavailable, "the node that owns the socket does not answer")
	ErrTimeout      = newError("timeout", http.StatusGatewayTimeout, "the caller's context ended first")
)

func newError(typ string, status int, text string) *Error {
	return &Error{Type: typ, Message: text, Status: status}
}

// Error returns the type and the text. Like the other methods it takes a nil
// *Error, which a hook may return by mistake.
func (e *Error) Error() string {
	if e == nil {
		return "a nil *gateway.Error"
	}
	return e.Type + ": " + e.Message
}

// Is reports whether target is an *Error of the same type.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && e != nil && t != nil && t.Type == e.Type
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// withf returns an error of e's type and status with a text of its own.
func (e *Error) withf(format string, args ...any) *Error {
	return &Error{Type: e.Type, Status: e.Status, Message: fmt.Sprintf(format, args...)}
}

func invalidf(format string, args ...any) *Error { return ErrInvalid.withf(format, args...) }

// timeout is the error of a call whose context ended.
func timeout(ctx context.Context) *Error {
	cause := context.Cause(ctx)
	return &Error{Type: ErrTimeout.Type, Status: ErrTimeout.Status, Message: ErrTimeout.Message + ": " + cause.Error(), Err: cause}
}

// ErrorOf returns the error object of any error: err's own *Error if there is
// one in its chain, type timeout for the end of a context, type internal for
// everything else. It returns a value, so that no nil pointer can turn into a
// non-nil error; of a nil err it returns the zero Error.
func ErrorOf(err error) Error {
	var e *Error
	switch {
	case err == nil:
		return Error{}
	case errors.As(err, &e) && e != nil:
		return *e
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return Error{Type: ErrTimeout.Type, Status: ErrTimeout.Status, Message: err.Error(), Err: err}
	}
	return Error{Type: ErrInternal.Type, Status: ErrInternal.Status, Message: err.Error(), Err: err}
}

// fromOperation reports whether err is the failure of an operation on some
// socket that an endpoint merely passed on. It says nothing against the
// endpoint's own socket, which stays open.
func fromOperation(err error) bool {
	for _, target := range []*Error{ErrNotFound, ErrClosed, ErrQueueFull, ErrUnreachable, ErrTimeout, ErrShutdown} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// A CloseError is the verdict of an endpoint, or of the caller of CloseWith,
// that a socket is to be closed, with the code and reason for the close frame
// (RFC 6455, section 7.4).
//
// Code 0 means 1000. A code that may not be sent (below 1000, reserved, or
// above 4999) becomes 1011. A reason of more than 123 bytes is cut at a
// character boundary, and bytes that are not UTF-8 are replaced.
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
	CauseOperation      Cause = "operation"       // Close, CloseWith or CloseAll, also of a Group; 1000 or the caller's
	CauseEndpoint       Cause = "endpoint"        // the endpoint's verdict; its code, 1011 for a plain error
	CausePanic          Cause = "panic"           // the endpoint panicked; 1011
	CauseScriptError    Cause = "script_error"    // a script failed, and its solution closes then; 1011
	CauseRouteRemoved   Cause = "route_removed"   // its pattern was removed; 1012
	CauseRateLimited    Cause = "rate_limited"    // above the rate, policy RateClose; 1008
	CauseSlowConsumer   Cause = "slow_consumer"   // its queue stayed full, or a write did not finish; 1008
	CauseTooLarge       Cause = "too_large"       // a message above the read limit; 1009
	CauseProtocolError  Cause = "protocol_error"  // not RFC 6455; 1002
	CauseInvalidUTF8    Cause = "invalid_utf8"    // text that is not UTF-8; 1007
	CauseMessageTimeout Cause = "message_timeout" // a message took too long to arrive; 1008
	CauseIdle           Cause = "idle"            // no message in either direction; 1001
	CausePingTimeout    Cause = "ping_timeout"    // a ping was left unanswered; 1001
	CauseExpired        Cause = "expired"         // what admitted the socket has run out; 1008
	CauseDrain          Cause = "drain"           // Shutdown; 1001
)
