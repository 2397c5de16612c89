package main

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/wsgateway/gateway"
)

// What a journal keeps.
const (
	keepSockets = 1000 // closed ones
	keepEvents  = 4096 // of one socket: the first, and the latest
)

// A journal keeps the events of every open socket and of those that closed
// last. Its methods are safe from any goroutine.
type journal struct {
	mu      sync.Mutex
	sockets map[string][]entry
	closed  []string // ids, oldest first
	opened  int
	ended   int
}

// An entry is what the journal keeps of an event.
type entry struct {
	Type        string        `json:"type"`
	MessageType string        `json:"message_type,omitempty"`
	Timestamp   int64         `json:"timestamp"`
	CloseCode   int           `json:"close_code,omitempty"`
	CloseReason string        `json:"close_reason,omitempty"`
	CloseCause  gateway.Cause `json:"close_cause,omitempty"`
}

func newJournal() *journal { return &journal{sockets: map[string][]entry{}} }

// record is middleware that writes down every event before the endpoint has it.
func (j *journal) record(next gateway.Endpoint) gateway.Endpoint {
	return gateway.EndpointFunc(func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
		j.add(s.ID(), ev)
		return next.ServeEvent(ctx, s, ev)
	})
}

func (j *journal) add(id string, ev gateway.Event) {
	e := entry{Type: ev.Type.String(), Timestamp: ev.Time.UnixMilli()}
	switch ev.Type {
	case gateway.EventData:
		e.MessageType = ev.Message.Type.String()
	case gateway.EventClose:
		e.CloseCode, e.CloseReason, e.CloseCause = ev.Closed.Code, ev.Closed.Reason, ev.Closed.Cause
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	events := j.sockets[id]
	if len(events) == keepEvents {
		events = append(events[:1], events[keepEvents/2:]...)
	}
	j.sockets[id] = append(events, e)
	switch ev.Type {
	case gateway.EventOpen:
		j.opened++
	case gateway.EventClose:
		j.ended++
		j.closed = append(j.closed, id)
		if len(j.closed) > keepSockets {
			delete(j.sockets, j.closed[0])
			j.closed = j.closed[1:]
		}
	}
}

// of returns the events of a socket so far, oldest first.
func (j *journal) of(id string) ([]entry, bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	events, ok := j.sockets[id]
	return append([]entry(nil), events...), ok
}

// counts returns the numbers of open and close events so far.
func (j *journal) counts() (opened, closed int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.opened, j.ended
}

// events answers GET /events?id=.
func (l *lab) events(w http.ResponseWriter, r *http.Request) {
	events, ok := l.journal.of(r.URL.Query().Get("id"))
	if !ok {
		refuse(w, gateway.ErrNotFound)
		return
	}
	answer(w, events)
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // a caller that has gone needs no answer
}

// refuse sends err as the error object, under its status.
func refuse(w http.ResponseWriter, err error) {
	e := gateway.ErrorOf(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e)
}
