package main

import (
	"context"
	"net/http"
	"sync"

	"github.com/wsgateway/gateway"
)

// What a journal keeps.
const (
	keepSockets = 1000    // closed ones
	keepEvents  = 1 << 14 // of one socket: the first, and the latest
)

// A journal keeps the events of every open socket and of those that closed
// last. Its methods are safe from any goroutine.
type journal struct {
	mu      sync.Mutex
	sockets map[string]*history
	closed  []string // ids, oldest first
	opened  int
	ended   int
}

// A history is what the journal keeps of one socket. It is small: a socket can
// have many events.
type history struct {
	events []mark
	end    gateway.Closed // of the close event
}

// A mark is what the journal keeps of one event.
type mark struct {
	at   int64 // milliseconds since the Unix epoch
	kind gateway.EventType
	text bool // the message is text
}

// An entry is an event as GET /events shows it.
type entry struct {
	Type        string        `json:"type"`
	MessageType string        `json:"message_type,omitempty"`
	Timestamp   int64         `json:"timestamp"`
	CloseCode   int           `json:"close_code,omitempty"`
	CloseReason *string       `json:"close_reason,omitempty"` // of a close event, also when it is ""
	CloseCause  gateway.Cause `json:"close_cause,omitempty"`
}

func newJournal() *journal { return &journal{sockets: map[string]*history{}} }

// record is middleware that writes down every event before the endpoint has it.
func (j *journal) record(next gateway.Endpoint) gateway.Endpoint {
	return gateway.EndpointFunc(func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		j.add(s.ID(), ev)
		return next.ServeEvent(ctx, s, ev)
	})
}

func (j *journal) add(id string, ev gateway.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h := j.sockets[id]
	if h == nil {
		h = new(history)
		j.sockets[id] = h
	}
	if len(h.events) == keepEvents {
		h.events = append(h.events[:1], h.events[keepEvents/2:]...)
	}
	h.events = append(h.events,
		mark{ev.Time.UnixMilli(), ev.Type, ev.Message.Type == gateway.MessageText})
	switch ev.Type {
	case gateway.EventOpen:
		j.opened++
	case gateway.EventClose:
		h.end = ev.Closed
		j.ended++
		j.forgetLocked(id)
	}
}

// forgetLocked notes that a socket has closed, and drops the one that closed
// longest ago if there are too many.
func (j *journal) forgetLocked(id string) {
	j.closed = append(j.closed, id)
	if len(j.closed) > keepSockets {
		delete(j.sockets, j.closed[0])
		j.closed = j.closed[1:]
	}
}

// of returns the events of a socket so far, oldest first.
func (j *journal) of(id string) ([]entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	h, ok := j.sockets[id]
	if !ok {
		return nil, false
	}
	entries := make([]entry, len(h.events))
	for i, m := range h.events {
		e := &entries[i]
		e.Type, e.Timestamp = m.kind.String(), m.at
		switch {
		case m.kind == gateway.EventClose:
			e.CloseCode, e.CloseReason, e.CloseCause = h.end.Code, &h.end.Reason, h.end.Cause
		case m.kind == gateway.EventData && m.text:
			e.MessageType = gateway.MessageText.String()
		case m.kind == gateway.EventData:
			e.MessageType = gateway.MessageBinary.String()
		}
	}
	return entries, true
}

// counts returns the numbers of open and close events so far.
func (j *journal) counts() (opened, closed int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.opened, j.ended
}

// events answers GET /events?id=.
func (l *lab) events(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("id")
	if id == "" {
		refuse(w, invalid("the socket id is empty"))
		return
	}
	events, ok := l.journal.of(id)
	if !ok {
		refuse(w, gateway.ErrNotFound)
		return
	}
	answer(w, events)
}
