package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
)

const keepMessages = 50 // of each room

// A room is a group of sockets and the last messages in it.
type room struct {
	name  string        // immutable
	group gateway.Group // immutable

	sockets map[string]int // of each user who is here; guarded by chat.mu

	// mu makes one order of what happens in the room. It is held while messages
	// are put into the queues of the members, which never waits for any of them.
	mu   sync.Mutex
	last []said // at most keepMessages; guarded by mu
}

// said is one message of a room, as JSON.
type said struct {
	Type string `json:"type"` // said
	From string `json:"from"`
	Text string `json:"text"`
	Time int64  `json:"time"` // milliseconds since the Unix epoch
}

// history is the first that a member receives.
type history struct {
	Type string `json:"type"` // history
	Room string `json:"room"`
	You  string `json:"you"`  // who the member is
	Said []said `json:"said"` // the oldest first
}

// admit sends the socket what was said and lets it hear the rest: nothing is
// missed in between, and nothing comes twice.
func (r *room) admit(ctx context.Context, s *gateway.Socket, user string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, err := gateway.JSON(history{
		Type: "history", Room: r.name, You: user, Said: append([]said{}, r.last...),
	})
	if err != nil {
		return err
	}
	if err := s.Send(ctx, m); err != nil {
		return err
	}
	return r.group.Join(ctx, s.ID())
}

// say tells everybody in the room.
func (r *room) say(ctx context.Context, from, text string) error {
	v := said{Type: "said", From: from, Text: text, Time: time.Now().UnixMilli()}
	m, err := gateway.JSON(v)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.last) == keepMessages {
		r.last = slices.Delete(r.last, 0, 1)
	}
	r.last = append(r.last, v)
	_, err = r.group.Send(ctx, m) // who reads too slowly misses it, see Stats
	return err
}
