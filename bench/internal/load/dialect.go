package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// A Dialect is how messages are wrapped on the wire.
type Dialect string

const (
	// WebSocket is RFC 6455 with the message as the payload.
	WebSocket Dialect = "websocket"
	// Raw is TCP without any handshake: four bytes of length, big endian, and
	// the message.
	Raw Dialect = "raw"
	// Centrifuge is RFC 6455 with the JSON protocol of Centrifuge inside: an
	// own handshake, messages as RPC and push, several to a frame.
	Centrifuge Dialect = "centrifuge"
)

// centrifugeConnect is the first message of a client of Centrifuge.
const centrifugeConnect = `{"id":1,"connect":{"name":"bench"}}`

// encode is a message as the client sends it. The number tells messages of a
// window apart where the dialect wants one.
func (d Dialect) encode(b []byte, number int, op byte, deflated bool, payload []byte) []byte {
	switch d {
	case Raw:
		b = binary.BigEndian.AppendUint32(b, uint32(len(payload)))
		return append(b, payload...)
	case Centrifuge:
		payload = fmt.Appendf(nil, `{"id":%d,"rpc":{"data":"%s"}}`, number+2, payload)
	}
	first := final | op
	if deflated {
		first |= compressed
	}
	return AppendFrame(b, first, payload, maskOf(number))
}

// maskOf is a mask without zero bytes, so that no server can skip the work.
func maskOf(number int) [4]byte {
	var m [4]byte
	binary.BigEndian.PutUint32(m[:], uint32(number+1)*2654435761|0x01010101)
	return m
}

// unwrap calls f for each message in a payload.
func (d Dialect) unwrap(payload []byte, f func([]byte) error) error {
	if d != Centrifuge {
		return f(payload)
	}
	for line := range bytes.SplitSeq(payload, []byte("\n")) {
		if len(line) <= len("{}") {
			continue // a ping of the protocol
		}
		data, err := centrifugeData(line)
		if err != nil {
			return err
		}
		if err := f(data); err != nil {
			return err
		}
	}
	return nil
}

// centrifugeData finds the string in a reply or push. Our strings have no
// escapes.
func centrifugeData(line []byte) ([]byte, error) {
	const key = `"data":"`
	i := bytes.Index(line, []byte(key))
	if i < 0 {
		return nil, fmt.Errorf("neither a reply nor a push: %.200s", line)
	}
	data := line[i+len(key):]
	end := bytes.IndexByte(data, '"')
	if end < 0 {
		return nil, errors.New("a string without an end")
	}
	return data[:end], nil
}
