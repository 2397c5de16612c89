package rawio

import (
	"net"
	"syscall"
	"unsafe"
)

// Unsent returns how many bytes the kernel holds of a TCP connection that its peer has
// not acknowledged, and whether that is known.
func Unsent(conn net.Conn) (n int, known bool) {
	c, ok := conn.(syscall.Conn)
	if !ok {
		return 0, false
	}
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	var queued int32
	err = rc.Control(func(fd uintptr) {
		_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ,
			uintptr(unsafe.Pointer(&queued)))
		known = errno == 0
	})
	return int(queued), known && err == nil
}
