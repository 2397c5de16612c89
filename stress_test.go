package gateway_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
)

// Every operation against every other, on few sockets and little memory, so that they meet:
// what each lock is taken together with happens here. Built with the tag lockorder, a lock
// that is taken in the wrong order panics.
func TestLocksAtOnce(t *testing.T) {
	for kind, secure := range map[string]bool{"TCP": false, "TLS": true} {
		t.Run(kind, func(t *testing.T) { stress(t, secure) })
	}
}

func stress(t *testing.T, secure bool) {
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler), Compression: true,
		MaxQueuedBytes: 256 << 10, MaxReceivingBytes: 64 << 10, MaxGroupsPerSocket: 4,
		Limits: gateway.Limits{
			MessagesPerSecond: 2000, Burst: 5, QueueMessages: 64, QueueBytes: 128 << 10,
			PingInterval: 20 * time.Millisecond, WriteTimeout: 100 * time.Millisecond,
			MessageTimeout: 50 * time.Millisecond, CloseTimeout: 10 * time.Millisecond,
		},
	})
	ep := gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			s.Go(func(ctx context.Context) error { return s.SendSync(ctx, gateway.Text("hello")) })
			return gw.Group("g0").Join(ctx, s.ID())
		},
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			switch {
			case len(m.Data) > 300:
				panic("the endpoint does")
			case len(m.Data) > 200:
				return s.CloseWith(4000, "enough")
			case len(m.Data) > 100:
				time.Sleep(30 * time.Millisecond) // the sweeper listens
			}
			return s.Send(ctx, m)
		},
		OnClose: func(ctx context.Context, s *gateway.Socket, _ gateway.Closed) { s.Info() },
	}
	gw.Handle("/", ep)
	srv := serveTCP(t, gw, secure)
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	var calls atomic.Int64
	often := func(fn func(rnd *rand.Rand)) {
		work.Go(func() {
			for rnd := rand.New(rand.NewPCG(1, uint64(calls.Add(1)))); ctx.Err() == nil; {
				fn(rnd)
				time.Sleep(time.Duration(rnd.IntN(500)) * time.Microsecond)
			}
		})
	}
	id := func(rnd *rand.Rand) string {
		ids, err := gw.List(ctx)
		if err != nil || len(ids) == 0 {
			return "nobody"
		}
		return ids[rnd.IntN(len(ids))]
	}
	group := func(rnd *rand.Rand) gateway.Group { return gw.Group(fmt.Sprint("g", rnd.IntN(6))) }
	big := strings.Repeat("x", 20_000)
	for range 8 {
		often(func(rnd *rand.Rand) { stressClient(rnd, srv.Listener.Addr().String(), secure) })
	}
	often(func(rnd *rand.Rand) { group(rnd).Join(ctx, id(rnd)) })
	often(func(rnd *rand.Rand) { group(rnd).Join(ctx, id(rnd)); group(rnd).Leave(ctx, id(rnd)) })
	often(func(rnd *rand.Rand) { group(rnd).Send(ctx, gateway.Text(big[:rnd.IntN(len(big))])) })
	often(func(rnd *rand.Rand) { gw.All().Except(id(rnd)).Send(ctx, gateway.Text("to all")) })
	often(func(rnd *rand.Rand) { gw.Send(ctx, id(rnd), gateway.Text(big)) })
	often(func(rnd *rand.Rand) {
		short, done := context.WithTimeout(ctx, time.Millisecond)
		defer done()
		gw.SendSync(short, id(rnd), gateway.Text(big))
		gw.SendWait(short, id(rnd), gateway.Text(big))
	})
	often(func(rnd *rand.Rand) { gw.Info(ctx, id(rnd)); gw.Stats(); group(rnd).Len(ctx) })
	often(func(rnd *rand.Rand) { gw.Close(ctx, id(rnd)) })
	often(func(rnd *rand.Rand) {
		time.Sleep(20 * time.Millisecond)
		if rnd.IntN(4) == 0 {
			gw.CloseAll(ctx)
		}
		group(rnd).CloseWith(ctx, 4001, "")
	})
	often(func(rnd *rand.Rand) {
		time.Sleep(10 * time.Millisecond)
		gw.Replace("lua", []gateway.Route{{Pattern: "/replaced", Endpoint: ep}}[:rnd.IntN(2)])
	})
	time.Sleep(stressFor)
	for range 1000 { // a machine that is busy needs longer for something to happen
		if gw.Stats().MessagesIn > 200 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	wantErr(t, "Shutdown", gw.Shutdown(context.Background()), nil) // in the middle of it
	cancel()
	work.Wait()
	if st := gw.Stats(); st.Opened == 0 || st.MessagesIn == 0 || st.MessagesOut == 0 {
		t.Errorf("nothing happened: %+v", st)
	}
}

// stressFor is how long everything happens at once.
const stressFor = 700 * time.Millisecond

// stressClient is one of the clients that do everything a client can.
func stressClient(rnd *rand.Rand, addr string, secure bool) {
	conn, err := dialStress(addr, secure)
	if err != nil {
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Duration(rnd.IntN(200)) * time.Millisecond))
	path := []string{"/", "/", "/", "/replaced"}[rnd.IntN(4)]
	io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: gateway.test\r\n"+upgradeFields+"\r\n")
	if rnd.IntN(3) > 0 { // the others do not read
		go io.Copy(io.Discard, conn) // ends with the connection
	}
	for range rnd.IntN(40) {
		frame := masked(0x81, strings.Repeat("m", rnd.IntN(320)))
		switch rnd.IntN(12) {
		case 0:
			frame = masked(0x89, "ping")
		case 1:
			frame = append(masked(0x01, "a"), masked(0x80, "b")...)
		case 2:
			frame = append(maskedHeader(0x82, 60_000), make([]byte, 30_000)...)
		case 3:
			frame = masked(0x88, "\x03\xe8")
		case 4:
			frame = frame[:len(frame)/2+1]
		}
		if _, err := conn.Write(frame); err != nil {
			return
		}
	}
}

func dialStress(addr string, secure bool) (net.Conn, error) {
	if secure {
		return tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	}
	return net.Dial("tcp", addr)
}
