package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// An Error is what an operation, or a refused upgrade, reports. It marshals to exactly
// {"type", "error", "status"}, the error object, with "nodes" of a partial result of a
// cluster; whatever leaves the process is made by it.
//
// errors.Is compares the Type, so errors.Is(err, gateway.ErrNotFound) holds for
// every error of type not_found whatever its text.
type Error struct {
	Type    string `json:"type"`   // stable; programs switch on it
	Message string `json:"error"`  // for people; may change
	Status  int    `json:"status"` // an HTTP status code
	Err     error  `json:"-"`      // what caused it, or nil; never leaves the process

	// Nodes names the nodes of a cluster that did not answer, in lexical order. What
	// the call returned beside the error is what the others answered.
	Nodes []string `json:"nodes,omitempty"`

	header *http.Header // of WithHeader
}

// The errors of operations and of refused upgrades, by type. Errors that are
// returned carry a text of their own; compare with errors.Is.
var (
	ErrInvalid      = sentinel("invalid_request", http.StatusBadRequest, "the request is not valid")
	ErrUnauthorized = sentinel("unauthorized", http.StatusUnauthorized, "authentication is required")
	ErrForbidden    = sentinel("forbidden", http.StatusForbidden, "not allowed")
	ErrNotFound     = sentinel("not_found", http.StatusNotFound, "no socket has this id")
	ErrNoRoute      = sentinel("no_route", http.StatusNotFound, "no route for this path")
	ErrMethod       = sentinel("method_not_allowed", http.StatusMethodNotAllowed,
		"an upgrade is a GET request")
	ErrClosed   = sentinel("closed", http.StatusGone, "the socket is closing or closed")
	ErrTooLarge = sentinel("too_large", http.StatusRequestEntityTooLarge,
		"the message is above the limit")
	ErrUpgrade = sentinel("upgrade_required", http.StatusUpgradeRequired,
		"this is a WebSocket endpoint (RFC 6455, version 13)")
	ErrTooMany   = sentinel("too_many_sockets", http.StatusServiceUnavailable, "too many sockets")
	ErrQueueFull = sentinel("queue_full", http.StatusTooManyRequests,
		"the socket's outbound queue is full")
	ErrDropped = sentinel("dropped", http.StatusConflict,
		"the message gave way to a newer one before it was written")
	ErrInternal    = sentinel("internal", http.StatusInternalServerError, "internal error")
	ErrUnsupported = sentinel("not_implemented", http.StatusNotImplemented, "not supported")
	ErrShutdown    = sentinel("shutting_down", http.StatusServiceUnavailable,
		"the gateway is shutting down")
	ErrUnreachable = sentinel("unreachable", http.StatusServiceUnavailable,
		"the node that owns the socket does not answer")
	ErrTimeout = sentinel("timeout", http.StatusGatewayTimeout, "the caller's context ended first")
)

// allErrors are those above.
var allErrors = []*Error{
	ErrInvalid, ErrUnauthorized, ErrForbidden, ErrNotFound, ErrNoRoute, ErrMethod, ErrClosed,
	ErrTooLarge,
	ErrUpgrade, ErrTooMany, ErrQueueFull, ErrDropped, ErrInternal, ErrUnsupported, ErrShutdown,
	ErrUnreachable, ErrTimeout,
}

func sentinel(typ string, status int, text string) *Error {
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

// NewError returns an error of the type and status of typ, one of the errors above or
// of your own, with a text that is put together as by [fmt.Errorf]. What %w wraps is
// its cause, [Error.Err], which never leaves the process.
func NewError(typ *Error, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	e := &Error{Type: typ.Type, Status: typ.Status, Message: err.Error()}
	switch wrapped := err.(type) {
	case interface{ Unwrap() error }:
		e.Err = wrapped.Unwrap()
	case interface{ Unwrap() []error }:
		e.Err = err
	}
	return e
}

func invalidf(format string, args ...any) *Error { return NewError(ErrInvalid, format, args...) }

// timeout is the error of a call whose context ended.
func timeout(ctx context.Context) *Error {
	return NewError(ErrTimeout, "%s: %w", ErrTimeout.Message, context.Cause(ctx))
}

// errSocketClosing is why the context of a socket's events has ended.
var errSocketClosing = errors.New("the socket of this event is closing")

// contextEnded is what a send says of the caller's context before it does anything. That the
// caller's own socket closes is nothing against a message to others.
func contextEnded(ctx context.Context) error {
	if ctx.Err() == nil || context.Cause(ctx) == errSocketClosing {
		return nil
	}
	return timeout(ctx)
}

// WithHeader returns a copy of e with a field more for the answer to an upgrade that
// Authorize refuses with it, as a 401 should have a WWW-Authenticate (RFC 9110, section
// 15.5.2). Fields that describe the answer's body, or the connection, are left out
// there.
func (e *Error) WithHeader(name, value string) *Error {
	c, h := *e, http.Header{}
	if e.header != nil {
		h = e.header.Clone()
	}
	h.Add(name, value)
	c.header = &h
	return &c
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
		return *NewError(ErrTimeout, "%w", err)
	}
	return *NewError(ErrInternal, "%w", err)
}

// fromOperation reports whether err is the failure of an operation on some socket that an
// endpoint merely passed on. Such an error is no reason to close the endpoint's own
// socket.
func fromOperation(err error) bool {
	for _, target := range []*Error{ErrNotFound, ErrClosed, ErrQueueFull, ErrDropped, ErrUnreachable,
		ErrTimeout, ErrShutdown} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
