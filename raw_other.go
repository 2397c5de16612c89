//go:build !unix || aix

package gateway

import "net"

// A rawConn exists only where descriptors can be read and written without
// blocking. Elsewhere every connection takes the way of those under TLS.
type rawConn struct{ stays bool }

type readSink interface{ took(p []byte) (done bool) }

func (*rawConn) init(net.Conn) bool { return false }

func (*rawConn) read(**[readBufSize]byte, readSink) error { panic("gateway: no raw connections") }
func (*rawConn) more() bool                               { panic("gateway: no raw connections") }
func (*rawConn) writeAll(writeSource, bool) (bool, error) { panic("gateway: no raw connections") }
func (*rawConn) tryWrite([]byte) (n int, err error)       { panic("gateway: no raw connections") }
