//go:build unix

package load

import "syscall"

// receiveBuffer sets SO_RCVBUF before the connection is made, when the size of
// the window is agreed.
func receiveBuffer(size int) func(network, address string, c syscall.RawConn) error {
	if size == 0 {
		return nil
	}
	return func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, size)
		}); e != nil {
			return e
		}
		return err
	}
}
