//go:build !unix

package load

import (
	"errors"
	"syscall"
)

func receiveBuffer(size int) func(network, address string, c syscall.RawConn) error {
	if size == 0 {
		return nil
	}
	return func(string, string, syscall.RawConn) error {
		return errors.New("the size of the receive buffer can only be set on Unix")
	}
}
