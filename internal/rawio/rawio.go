// Package rawio reads and writes a connection's descriptor without blocking in the
// system call, where the connection has a descriptor: a buffer is held only while there
// are bytes to put into it, and a write that would wait for a slow client returns
// instead. Where there is none, [Conn.Init] says so and nothing else may be called.
//
// A Conn is used by one reader and one writer at a time.
package rawio

import "sync"

// BufferSize is the size in bytes of the pooled read buffers.
const BufferSize = 8 << 10

// A Buffer is a read buffer.
type Buffer = [BufferSize]byte

var buffers = sync.Pool{New: func() any { return new(Buffer) }}

// GetBuffer takes a buffer from the pool.
func GetBuffer() *Buffer { return buffers.Get().(*Buffer) }

// PutBuffer gives a buffer back. Nobody may use it any more.
func PutBuffer(b *Buffer) { buffers.Put(b) }

// A Sink takes what Conn.Read has read. Took reports whether the sink is done with the
// bytes, and the reader would only come back to wait for the next ones.
type Sink interface{ Took(p []byte) (done bool) }

// A Source is what Conn.WriteAll writes.
type Source interface {
	Next(written int) []byte // takes note of what was written; what comes next, or nil
	Blocked(written int)     // the same, and that the client takes no more, now or ever
}
