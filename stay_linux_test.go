package gateway_test

import (
	"net"
	"syscall"
	"testing"

	"github.com/wsgateway/gateway"
)

// Urgent data, which ends a read early, does not leave what is behind it unread.
func TestMessageBehindUrgentData(t *testing.T) {
	gw, in, out, _ := blocked(gateway.Limits{PingInterval: -1})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	p.write(masked(0x81, "one"))
	<-in
	p.write(masked(0x81, "two"))
	raw, err := p.conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = syscall.Sendto(int(fd), []byte("!"), syscall.MSG_OOB, nil) })
	if err != nil {
		t.Skip("NOT TESTED: urgent data cannot be sent: ", err)
	}
	p.write(masked(0x81, "three"))
	close(out)
	<-in
	<-in // hangs if the third message is not read
}
