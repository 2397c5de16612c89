package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
	"github.com/wsgateway/gateway/bench/internal/measure"
)

// A kind of hostile clients says what they do. None of them reads, but for those that read
// a byte now and then.
type kind struct {
	name, title string
	path        string // "/hostile", where nobody answers, unless it says otherwise
	deflate     bool   // compression is agreed on
	once        []byte // that each writes once
	again       []byte // that each writes for ever
	drip        byte   // 'w', 'r': each writes, or reads, a byte now and then
	sends       int    // bytes of what the gateway sends them all the time
}

var kinds = []kind{
	{name: "nobody", title: "none do anything"},
	{name: "flood", title: "send messages of 100 bytes", again: masked(0x82, 100)},
	{name: "echoes", title: "do not read echoes of 60 KB", path: "/echo",
		again: masked(0x82, 60_000)},
	{name: "large", title: "do not read replies of 900 KB", path: "/large",
		again: masked(0x81, 4)},
	{name: "pings", title: "send pings and read no pongs", again: masked(0x89, 125)},
	{name: "pieces", title: "send messages in fragments of 100 bytes",
		again: append(masked(0x02, 100), masked(0x80, 100)...)},
	{name: "fragments", title: "send fragments without an end",
		once: append(masked(0x02, 5_000), masked(0x00, 30_000)...)},
	{name: "half", title: "send a part of a message", once: masked(0x82, 60_000)[:8_000]},
	{name: "bytes", title: "go on with it byte by byte",
		once: masked(0x82, 60_000)[:8_000], drip: 'w'},
	{name: "deflated", title: "send a part of a deflated message",
		deflate: true, once: masked(0xc2, 60_000)[:8_000]},
	{name: "many", title: "do not read, many messages of 16 KiB", sends: 16 << 10},
	{name: "heavy", title: "do not read, messages of 900 KB", sends: 900_000},
	{name: "small", title: "do not read, small messages", sends: 100},
	{name: "slow", title: "read a byte now and then", sends: 16 << 10, drip: 'r'},
}

func (c config) kind() kind {
	for _, k := range kinds {
		if k.name == c.Kind {
			return k
		}
	}
	return kind{}
}

// masked is a client's frame of n zeros, whose mask is zero, too.
func masked(first byte, n int) []byte {
	return load.AppendFrame(nil, first, make([]byte, n), [4]byte{})
}

// dial opens a hostile socket.
func (k kind) dial(c config) (net.Conn, error) {
	conn, err := load.Dial(context.Background(), load.Target{
		Addr: c.Addr, Dialect: load.WebSocket, Path: cmp.Or(k.path, "/hostile"), Deflate: k.deflate,
		Spread: true, RcvBuf: 8 << 10,
	})
	if err != nil {
		return nil, err
	}
	return conn.NetConn(), conn.NetConn().SetDeadline(time.Time{})
}

// crowd is the process of the hostile clients. It ends with its standard input.
func crowd(c config) error {
	k := c.kind()
	var conns []net.Conn
	for range c.Hostile {
		conn, err := k.dial(c)
		if err != nil {
			break // the gateway lets no more in
		}
		conns = append(conns, conn)
	}
	fmt.Println(len(conns))
	for _, conn := range conns {
		go k.act(c, conn)
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

func (k kind) act(c config, conn net.Conn) {
	conn.Write(k.once)
	for one := make([]byte, 1); k.drip != 0; time.Sleep(200 * time.Millisecond) {
		if k.drip == 'r' {
			conn.Read(one)
		} else {
			conn.Write(one)
		}
	}
	for len(k.again) > 0 {
		if _, err := conn.Write(k.again); err == nil {
			continue
		}
		conn.Close()
		for { // closed for what it does, it comes back
			next, err := k.dial(c)
			if err == nil {
				conn = next
				break
			}
			time.Sleep(time.Second)
		}
	}
}

// meet opens the sockets of the good clients.
func meet(c config) ([]*load.Conn, error) {
	return load.DialAll(context.Background(), load.Target{
		Addr: c.Addr, Dialect: load.WebSocket, Path: "/good", Spread: true,
	}, c.Good)
}

// watch has the good clients send and await echoes, and returns how long each took.
func watch(good []*load.Conn, lasts time.Duration) (*measure.Histogram, error) {
	defer load.CutAll(good)
	echoes, err := load.StartEcho(context.Background(), good, load.Echo{
		Sizes: []int{100}, Window: 1, Interval: 50 * time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	time.Sleep(lasts)
	err = echoes.Stop()
	return echoes.Latency(), err
}
