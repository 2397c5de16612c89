package main

import (
	"context"
	"sync"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// Bounds of the timers of all scripts.
const (
	maxTimers   = 1000
	minInterval = 100 * time.Millisecond
	maxDelay    = 30 * 24 * time.Hour
)

// timers is the service Timer: it triggers the event "timer timer" later, once or again
// and again. Timers end with the program; a deployment does not touch them.
type timers struct {
	trigger func(ctx context.Context, service, event string, arg any) (any, error) // of the host

	ctx    context.Context // of what the timers trigger
	cancel context.CancelFunc
	fired  sync.WaitGroup // handlers that run; close waits for them

	mu     sync.Mutex
	byID   map[string]*timer // guarded by mu
	closed bool              // guarded by mu
}

// A timer is one that a script has set.
type timer struct {
	id      string
	message any
	every   time.Duration // 0: once
	clock   *time.Timer
}

func newTimers() *timers {
	t := &timers{byID: make(map[string]*timer)}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// timerArgs is what scripts give the functions of the service.
type timerArgs struct {
	ID       string  `json:"timer_id"`
	Duration float64 `json:"duration"` // in milliseconds
	Message  any     `json:"message"`  // comes with the event
}

func (t *timers) service() lua.Service {
	return lua.Service{
		"sendAfter": lua.Func(func(_ context.Context, a timerArgs) (any, error) {
			return nil, t.set(a, false)
		}),
		"sendInterval": lua.Func(func(_ context.Context, a timerArgs) (any, error) {
			return nil, t.set(a, true)
		}),
		"cancel": lua.Func(func(_ context.Context, a timerArgs) (any, error) {
			return nil, t.stop(a.ID)
		}),
	}
}

// set sets a timer. One that has its id is replaced.
func (t *timers) set(a timerArgs, again bool) error {
	d := time.Duration(a.Duration * float64(time.Millisecond))
	switch {
	case a.ID == "" || len(a.ID) > 200:
		return gateway.NewError(gateway.ErrInvalid, "timer_id: a text of 1 to 200 bytes is expected")
	case a.Duration < 0 || d > maxDelay || a.Duration > float64(maxDelay):
		return gateway.NewError(
			gateway.ErrInvalid,
			"duration: 0 to 30 days are expected, in milliseconds",
		)
	case again && d < minInterval:
		return gateway.NewError(gateway.ErrInvalid, "duration: at least %v is expected", minInterval)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.byID[a.ID]
	switch {
	case t.closed:
		return gateway.ErrShutdown
	case old == nil && len(t.byID) >= maxTimers:
		return gateway.NewError(gateway.ErrTooLarge, "there are %d timers", maxTimers)
	case old != nil:
		old.clock.Stop()
	}
	one := &timer{id: a.ID, message: a.Message}
	if again {
		one.every = d
	}
	one.clock = time.AfterFunc(d, func() { t.fire(one) }) // close stops it, or waits for it
	t.byID[a.ID] = one
	return nil
}

func (t *timers) stop(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.byID[id]
	if one == nil {
		return gateway.NewError(gateway.ErrNotFound, "there is no such timer")
	}
	one.clock.Stop()
	delete(t.byID, id)
	return nil
}

// fire runs the handler. The next time of one that comes again is counted from when its
// handler is done, so that it never overtakes itself.
func (t *timers) fire(one *timer) {
	t.mu.Lock()
	if t.closed || t.byID[one.id] != one {
		t.mu.Unlock()
		return
	}
	if one.every == 0 {
		delete(t.byID, one.id)
	}
	t.fired.Add(1) // not after close, which has the lock before it waits
	t.mu.Unlock()
	defer t.fired.Done()
	event := map[string]any{"timer_id": one.id, "message": one.message}
	_, _ = t.trigger(t.ctx, "timer", "timer", event) // a failure is in the log of the scripts
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.every > 0 && !t.closed && t.byID[one.id] == one {
		one.clock.Reset(one.every)
	}
}

// close ends all timers and waits for the handlers that run.
func (t *timers) close() {
	t.mu.Lock()
	t.closed = true
	for _, one := range t.byID {
		one.clock.Stop()
	}
	clear(t.byID)
	t.mu.Unlock()
	t.cancel()
	t.fired.Wait()
}
