package main

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
)

// pace is the least time between two publications.
const pace = 250 * time.Millisecond

// who is the list of a room's members, as JSON.
type who struct {
	Type    string   `json:"type"` // who
	Members int      `json:"members"`
	Names   []string `json:"names"` // the first of them
}

// roomList is the list of all rooms, as JSON.
type roomList struct {
	Type  string       `json:"type"` // rooms
	Rooms []listedRoom `json:"rooms"`
}

type listedRoom struct {
	Name    string `json:"name"`
	Members int    `json:"members"`
}

// start publishes the lists, as they change, until stop is called, which waits.
//
// One goroutine sends them all, so that what is sent last is the latest, and at
// a pace, so that a thousand people who come at once cost a few lists and not a
// thousand. They are latest values (Message.Key): in the queue of a client that
// reads slowly, a new list takes the place of the old one.
func (c *chat) start() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			select {
			case <-c.wake:
				c.publish(ctx)
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(pace):
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

func (c *chat) publish(ctx context.Context) {
	for r := range c.takeChanged() {
		n, names := c.members(r)
		send(ctx, r.group, "who", who{Type: "who", Members: n, Names: names})
	}
	send(ctx, c.gw.All(), "rooms", roomList{Type: "rooms", Rooms: c.listed()})
}

// send sends the group the latest value of the key.
func send(ctx context.Context, g gateway.Group, key string, v any) {
	m, err := gateway.JSON(v)
	if err == nil {
		m.Key = key
		_, err = g.Send(ctx, m)
	}
	if err != nil {
		slog.Warn("chat: list not sent", "list", key, "error", err)
	}
}
