//go:build !unix || aix

package rawio

import "net"

// A Conn exists only where descriptors can be read and written without blocking.
type Conn struct{}

// A Reader is what a read needs besides the connection.
type Reader struct{}

// Init reports false: nothing else may be called.
func (*Conn) Init(net.Conn, bool) bool { return false }

// Valid reports false.
func (*Conn) Valid() bool { return false }

// Stays reports false.
func (*Conn) Stays() bool { return false }

func (*Conn) Read(*Reader, **Buffer, Sink) error  { panic("rawio: not on this system") }
func (*Conn) Closed() bool                        { panic("rawio: not on this system") }
func (*Conn) More() bool                          { panic("rawio: not on this system") }
func (*Conn) Peek([]byte) (n int, some bool)      { panic("rawio: not on this system") }
func (*Conn) ReadNow([]byte) (n int, err error)   { panic("rawio: not on this system") }
func (*Conn) Shutdown()                           { panic("rawio: not on this system") }
func (*Conn) WriteAll(Source, bool) (bool, error) { panic("rawio: not on this system") }
func (*Conn) TryWrite([]byte) (n int, err error)  { panic("rawio: not on this system") }
