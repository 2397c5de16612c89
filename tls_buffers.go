package gateway

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// A tls.Conn keeps the two buffers that it reads into, and they never shrink: a handshake
// leaves some 3.5 KB in them, a large message up to 34 KB. That is more than everything else
// of a socket at rest, and nothing in the API of crypto/tls gives it back. An empty
// bytes.Buffer and a new one are the same to whoever uses it; so at rest those that are empty
// become new ones. Where a later version of Go has no such fields, nothing happens.

// tlsBuffers are the offsets in a tls.Conn of what it reads into.
var tlsBuffers = fieldsOf[bytes.Buffer](reflect.TypeFor[tls.Conn](), "rawInput", "hand")

// fieldsOf returns the offsets of a struct's fields with these names that are of type T.
func fieldsOf[T any](of reflect.Type, names ...string) (offsets []uintptr) {
	for _, name := range names {
		if f, ok := of.FieldByName(name); ok && f.Type == reflect.TypeFor[T]() {
			offsets = append(offsets, f.Offset)
		}
	}
	return offsets
}

// mostTLSBuffer is the capacity in bytes up to which a buffer is kept, so that sockets with
// short messages, pongs among them, do not get a new one each time.
const mostTLSBuffer = 1 << 10

// freeTLS gives back what TLS does not need of its buffers at rest. Only the reader calls it:
// nobody else uses them after the handshake.
func (c *conn) freeTLS() {
	t, secure := c.nc.(*tls.Conn)
	if !secure {
		return
	}
	for _, offset := range tlsBuffers {
		b := (*bytes.Buffer)(unsafe.Add(unsafe.Pointer(t), offset))
		if b.Len() == 0 && b.Cap() > mostTLSBuffer {
			*b = bytes.Buffer{}
		}
	}
}
