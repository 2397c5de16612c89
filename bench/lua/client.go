package main

import (
	"context"
	"fmt"
	"time"

	"github.com/wsgateway/gateway/bench/internal/load"
)

// window is how many messages of a client are under way.
const window = 16

// A client sends one message again and again, and checks each answer. It costs
// little beside what it measures: its frames are made in advance.
type client struct {
	*load.Conn
	frames []byte // window frames
	answer string
}

// dial opens a socket.
func dial(ctx context.Context, address, message, answer string) (*client, error) {
	return dialPath(ctx, address, "/bench?tab=1", message, answer)
}

func dialPath(ctx context.Context, address, path, message, answer string) (*client, error) {
	conn, err := load.Dial(ctx, load.Target{
		Addr: address, Path: path, Dialect: load.WebSocket, Timeout: 2 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	c := &client{Conn: conn, answer: answer}
	for range window {
		c.frames = load.AppendFrame(c.frames, 0x81, []byte(message), [4]byte{})
	}
	return c, nil
}

// send sends n messages and awaits their answers.
func (c *client) send(n int) error {
	c.Extend()
	for n > 0 {
		now := min(n, window)
		if _, err := c.NetConn().Write(c.frames[:len(c.frames)/window*now]); err != nil {
			return err
		}
		for range now {
			if err := c.receive(); err != nil {
				return err
			}
		}
		n -= now
	}
	return nil
}

// receive reads a message and checks it.
func (c *client) receive() error {
	got, err := c.Receive()
	if err != nil {
		return err
	}
	if string(got) != c.answer {
		return fmt.Errorf("answered %q, want %q", got, c.answer)
	}
	return nil
}

func (c *client) close() error { return c.Cut() }
