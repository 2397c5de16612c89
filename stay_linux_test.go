package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

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

// The system may have told of the end of a connection already, with what came before it.
// So the socket is looked at again a moment later, and not only when its timeouts are.
func TestEndBehindTheLastFrameIsLookedForSoon(t *testing.T) {
	for name, last := range map[string][]byte{
		"message": masked(0x81, "last"), "empty message": masked(0x82, ""), "ping": masked(0x89, "?"),
		"pong": masked(0x8a, ""), "both": slices.Concat(masked(0x81, "last"), masked(0x89, "?")),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const tries = 20 // a busy machine may miss the moment
			for try := 1; !endIsLookedFor(t, last); try++ {
				if try == tries {
					t.Fatalf("of %d ends behind a frame none was looked for", tries)
				}
			}
		})
	}
}

// endIsLookedFor sends a frame and the end of the connection while an endpoint runs, and
// reports whether it has seen that the gateway is about to look at the socket again.
func endIsLookedFor(t *testing.T, last []byte) (seen bool) {
	gw, in, out, closed := blocked(gateway.Limits{PingInterval: -1})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	p.write(masked(0x81, "first"))
	<-in
	p.write(last)
	if err := p.conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	close(out)
	for patience := time.After(30 * time.Second); ; {
		select {
		case <-closed:
			return seen
		case <-patience:
			t.Fatal("no close event within 30 s of the end")
		default:
			n, soon := gateway.Doubted(gw)
			if seen = seen || n > 0; n > 0 && !soon {
				t.Error("the socket is looked at again only with its timeouts")
			}
			runtime.Gosched()
		}
	}
}

// A frame that has come whole is late no more, also where its last part was taken inside
// the read, which goes on waiting.
func TestFrameInTwoPartsIsNotLateOnceItIsWhole(t *testing.T) {
	for name, frame := range map[string][]byte{
		"message": masked(0x81, "in two parts"), "empty message": masked(0x82, ""),
		"long message": masked(0x82, strings.Repeat("x", 1000)), "ping": masked(0x89, "in two parts"),
		"pong":             masked(0x8a, "in two parts"),
		"deflated message": masked(0xc1, deflated("in two parts")),
		"fragments":        slices.Concat(masked(0x01, "in two "), masked(0x80, "parts")),
		"ping in between": slices.Concat(masked(0x01, "in two "), masked(0x89, ""),
			masked(0x80, "parts")),
	} {
		for _, at := range []int{1, 3, len(frame) / 2, len(frame) - 1} {
			t.Run(fmt.Sprintf("%s, %d bytes", name, at), func(t *testing.T) {
				t.Parallel()
				gw, r := gateway.New(&gateway.Options{Compression: true,
					Logger: slog.New(slog.DiscardHandler),
					Limits: gateway.Limits{PingInterval: -1, MessageTimeout: time.Minute,
						MessagesPerSecond: -1}}), &recorder{}
				gw.Handle("/", r)
				p := dialTCP(t, serveTCP(t, gw, false))
				p.upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate", "")
				eventually(t, "the socket", func() bool { return r.count() == 1 })
				s := r.socket()
				p.write(frame[:at])
				eventually(t, "the first part", func() bool { return gateway.Arriving(s).Load() != 0 })
				p.write(frame[at:])
				eventually(t, "the rest", func() bool { return gateway.Arriving(s).Load() == 0 })
				gateway.SweepAt(s, time.Hour)
				if err := s.Context().Err(); err != nil {
					t.Errorf("the socket is closed an hour after a whole frame: %v",
						context.Cause(s.Context()))
				}
			})
		}
	}
}

// The tests of stay_test.go would say nothing if messages were not served inside the read.
func TestServedInsideTheRead(t *testing.T) {
	gw, r := quiet(), &recorder{}
	gw.Handle("/", r)
	dialTCP(t, serveTCP(t, gw, false)).upgrade("/")
	eventually(t, "the socket", func() bool { return r.count() == 1 })
	if !gateway.ServedInside(r.socket()) {
		t.Error("messages of a client on a plain server are served outside of the read")
	}
}
