package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// A kind of hostile clients says what they do. None of them reads, but for those that read
// a byte now and then.
type kind struct {
	name, title string
	path        string // "/hostile", where nobody answers, unless it says otherwise
	header      string // of the upgrade request
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
		header: "Sec-WebSocket-Extensions: permessage-deflate\r\n",
		once:   masked(0xc2, 60_000)[:8_000]},
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
	h := []byte{first, 0x80 | byte(min(n, 126))}
	if n >= 126 {
		h = binary.BigEndian.AppendUint16(h, uint16(n))
	}
	return append(h, make([]byte, 4+n)...)
}

// dial opens a socket, from one of many addresses, so that there are enough ports.
func dial(c config, path, header string, i int) (net.Conn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+i%200))}}
	conn, err := d.Dial("tcp", c.Addr)
	if err != nil {
		return nil, err
	}
	io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+c.Addr+"\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Version: 13\r\n"+header+"\r\n")
	var answer []byte
	for one := make([]byte, 1); !bytes.HasSuffix(answer, []byte("\r\n\r\n")); {
		if _, err := conn.Read(one); err != nil {
			conn.Close()
			return nil, fmt.Errorf("the answer to the upgrade: %w", err)
		}
		answer = append(answer, one[0])
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 101 ") {
		conn.Close()
		return nil, fmt.Errorf("the answer to the upgrade is %.40q", answer)
	}
	return conn, nil
}

// crowd is the process of the hostile clients. It ends with its standard input.
func crowd(c config) error {
	k := c.kind()
	if k.path == "" {
		k.path = "/hostile"
	}
	var conns []net.Conn
	for i := range c.Hostile {
		conn, err := dial(c, k.path, k.header, i)
		if err != nil {
			break // the gateway lets no more in
		}
		conn.(*net.TCPConn).SetReadBuffer(8 << 10)
		conns = append(conns, conn)
	}
	fmt.Println(len(conns))
	for i, conn := range conns {
		go k.act(c, conn, i)
	}
	io.Copy(io.Discard, os.Stdin)
	return nil
}

func (k kind) act(c config, conn net.Conn, i int) {
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
			next, err := dial(c, k.path, k.header, i)
			if err == nil {
				conn = next
				break
			}
			time.Sleep(time.Second)
		}
	}
}

// meet opens the sockets of the good clients.
func meet(c config) (all []net.Conn, err error) {
	for i := range c.Good {
		conn, err := dial(c, "/good", "", i)
		if err != nil {
			return nil, fmt.Errorf("a good client: %w", err)
		}
		all = append(all, conn)
	}
	return all, nil
}

// watch has the good clients send and await echoes, and returns how long each took.
func watch(good []net.Conn, lasts time.Duration) (waits []time.Duration, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	end := time.Now().Add(lasts)
	for _, conn := range good {
		all.Go(func() {
			mine, failed := talk(conn, end)
			mu.Lock()
			defer mu.Unlock()
			waits = append(waits, mine...)
			if failed != nil {
				err = fmt.Errorf("a good client: %w", failed)
			}
		})
	}
	all.Wait()
	return waits, err
}

func talk(conn net.Conn, end time.Time) (waits []time.Duration, err error) {
	defer conn.Close()
	br := bufio.NewReader(conn)
	message, frame := masked(0x82, 100), make([]byte, 2+125)
	for time.Now().Before(end) {
		sent := time.Now()
		if _, err := conn.Write(message); err != nil {
			return waits, err
		}
		for frame[0] = 0; frame[0] != 0x82; { // pings of the gateway are passed over
			if _, err := io.ReadFull(br, frame[:2]); err != nil {
				return waits, err
			}
			if _, err := io.ReadFull(br, frame[2:2+frame[1]]); err != nil {
				return waits, err
			}
		}
		waits = append(waits, time.Since(sent))
		time.Sleep(50 * time.Millisecond)
	}
	return waits, nil
}
