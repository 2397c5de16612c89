package gateway

import (
	"encoding/json"
	"fmt"
)

// A MessageType says whether a message is text or binary (RFC 6455, section
// 5.6). The zero value is neither; Send refuses it.
type MessageType uint8

const (
	MessageText   MessageType = 1 // UTF-8 text; "data-text" in JSON and scripts
	MessageBinary MessageType = 2 // any bytes; "data-binary" in JSON and scripts
)

// String returns the word that JSON and scripts use: "data-text" or
// "data-binary".
func (t MessageType) String() string {
	switch t {
	case MessageText:
		return "data-text"
	case MessageBinary:
		return "data-binary"
	}
	return fmt.Sprintf("MessageType(%d)", uint8(t))
}

// ParseMessageType returns the type that String names. The empty string is
// [MessageText], for a send that names no type; any other word is an error of type
// invalid_request.
func ParseMessageType(s string) (MessageType, error) {
	switch s {
	case "", "data-text":
		return MessageText, nil
	case "data-binary":
		return MessageBinary, nil
	}
	return 0, invalidf("message type %.40q is neither data-text nor data-binary", s)
}

// A Message is what one WebSocket message carries.
//
// The Data of a received message belongs to the endpoint that receives it. The
// send operations copy Data, or are done with it, before they return, so the
// caller may use it again at once.
type Message struct {
	Type MessageType // the zero value is refused
	Data []byte      // the payload

	// Key, if not empty, makes the message the latest value of something: it
	// replaces a message of the same key that still waits in a socket's queue,
	// so that a slow client is late but never stale. Received messages have
	// none.
	Key string

	received *received // whose memory Data is; nil for most
}

// Release gives the memory of a received message back, so that another one can arrive in
// it: for endpoints that take many messages of half a kilobyte to a megabyte, where making
// and collecting memory costs a good part of everything, and of large ones most. Nobody has
// to; what is not released is left to the garbage collector.
//
// After it nothing may use Data, not a part of it, and no copy of the Message: send first,
// and not in a goroutine that may still be at it. It does nothing for other messages, and
// nothing a second time.
func (m Message) Release() {
	m.received.release()
}

// Text returns a text message. Text that is not UTF-8 is refused by the send
// operations with an error of type invalid_request.
func Text[T ~string | ~[]byte](v T) Message { return Message{Type: MessageText, Data: []byte(v)} }

// Binary returns a binary message that carries b itself, not a copy.
func Binary(b []byte) Message { return Message{Type: MessageBinary, Data: b} }

// JSON returns a text message with the JSON encoding of v. What cannot be
// encoded is an error of type invalid_request.
func JSON(v any) (Message, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Message{}, NewError(ErrInvalid, "message: %w", err)
	}
	return Message{Type: MessageText, Data: b}, nil
}
