//go:build !linux

package rawio

import "net"

// Unsent reports that it is not known what the kernel holds.
func Unsent(net.Conn) (n int, known bool) { return 0, false }
