package serve

import (
	"crypto/rand"
	"fmt"
	"sync"
)

// A registry is the map of sockets that a program on a plain WebSocket library
// keeps to reach them.
type registry[C any] struct {
	mu      sync.Mutex
	sockets map[string]C
}

func (r *registry[C]) add(c C) (id string) {
	id = rand.Text()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sockets == nil {
		r.sockets = make(map[string]C)
	}
	r.sockets[id] = c
	return id
}

func (r *registry[C]) remove(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sockets, id)
}

func (r *registry[C]) get(id string) (C, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.sockets[id]
	if !ok {
		return c, fmt.Errorf("no socket %s", id)
	}
	return c, nil
}

// all is a copy, so that nothing is written under the lock.
func (r *registry[C]) all() []C {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]C, 0, len(r.sockets))
	for _, c := range r.sockets {
		out = append(out, c)
	}
	return out
}

func (r *registry[C]) ids() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]string, 0, len(r.sockets))
	for id := range r.sockets {
		out = append(out, id)
	}
	return out
}
