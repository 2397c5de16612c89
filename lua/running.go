package lua

import (
	"context"
	"sync"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/internal/stack"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// running are the runs of a host, those that wait for their turn included.
type running struct {
	mu     sync.Mutex
	runs   map[*run]struct{} // guarded by mu, as all below
	closed bool              // to handlers of Trigger
	ended  bool              // to all
}

// enter notes a run before it begins. It reports false if the host takes none any more.
func (s *running) enter(r *run, trigger bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.closed && trigger {
		return false
	}
	if s.runs == nil {
		s.runs = make(map[*run]struct{})
	}
	s.runs[r] = struct{}{}
	return true
}

// leave notes that a run is over.
func (s *running) leave(r *run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.runs, r)
	if r.gone != nil {
		close(r.gone)
	}
}

// close lets no handler of Trigger in any more. It returns, for each run in progress, a
// channel that is closed when it is over.
func (s *running) close() []<-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	all := make([]<-chan struct{}, 0, len(s.runs))
	for r := range s.runs {
		if r.gone == nil {
			r.gone = make(chan struct{})
		}
		all = append(all, r.gone)
	}
	return all
}

// end lets nobody in any more, ends all runs and returns how many there are.
func (s *running) end() int {
	s.mu.Lock()
	s.ended = true
	all := make([]*run, 0, len(s.runs))
	for r := range s.runs {
		all = append(all, r)
	}
	s.mu.Unlock()
	for _, r := range all {
		r.kill(errHostShutDown)
	}
	return len(all)
}

var errHostShutDown = &vm.Stop{
	Budget: vm.Ended,
	Text:   "the run was ended: the host of the scripts was shut down",
}

// isOver waits until c is closed. It reports false if ctx ends first.
func isOver(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
	}
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

type runKey struct{}

// runOf returns the run whose context ctx is, or was made of, or nil.
func runOf(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

// inside reports whether a script of the host has called what calls this, by way of a
// service: with loading, one of a solution that is being deployed. The context says so
// or, where it is none of a run, the stack, which cannot tell one host from another.
func (h *Host) inside(ctx context.Context, loading bool) bool {
	r := runOf(ctx)
	switch {
	case r == nil && loading:
		return stack.Count(luaPackage+".(*program).try") > 0
	case r == nil:
		return stack.Count(runsScripts...) > 0
	}
	for ; r != nil; r = runOf(r.parent) {
		if r.host == h && (r.loading || !loading) {
			return true
		}
	}
	return false
}

const luaPackage = "github.com/wsgateway/gateway/lua"

// runsScripts are the functions inside of which scripts run; body is that of a coroutine.
var runsScripts = []string{
	luaPackage + ".(*program).try",
	luaPackage + ".(*program).inTurn",
	luaPackage + "/internal/vm.(*State).body",
}

// lockDeploy waits for the deployment under way.
func (h *Host) lockDeploy(ctx context.Context) error {
	if h.inside(ctx, true) {
		return gateway.NewError(gateway.ErrInvalid,
			"a service that a module calls while it loads cannot deploy: deployments wait for each "+
				"other (one that deploys to another host passes the context that it was given)")
	}
	select {
	case h.deploying <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.life.Done():
		return gateway.ErrShutdown
	}
}

func (h *Host) unlockDeploy() { <-h.deploying }

// Shutdown refuses further deployments and calls of Trigger, and waits until those under
// way, and the runs of events in progress, are done. If ctx ends first, they are ended, no
// event runs any more, and the error, of type timeout, says how many runs there were;
// what a service does then is its own, but its context has ended. Otherwise events run on
// for as long as the gateway delivers them: shut the gateway down first. Shutdown may be
// called again.
//
// It waits for scripts, so a service that they call cannot call it: there it changes
// nothing and fails with invalid_request. There, call it in a goroutine of its own, with a
// context of its own, and do not wait for that. Endpoints in Go may call it.
func (h *Host) Shutdown(ctx context.Context) error {
	if h.inside(ctx, false) {
		return gateway.NewError(gateway.ErrInvalid,
			"Shutdown waits for the script that it is called from: call it in another goroutine, with "+
				"another context (a service that shuts down another host passes the context that it was given)")
	}
	h.closed.Store(true)
	for _, gone := range h.running.close() {
		if !isOver(ctx, gone) {
			return h.giveUp(ctx)
		}
	}
	select {
	case h.deploying <- struct{}{}:
		h.unlockDeploy()
		return nil
	default:
	}
	select {
	case h.deploying <- struct{}{}:
		h.unlockDeploy()
		return nil
	case <-ctx.Done():
		return h.giveUp(ctx)
	}
}

// giveUp ends what Shutdown has waited for in vain.
func (h *Host) giveUp(ctx context.Context) error {
	h.endLife()
	n := h.running.end()
	return gateway.NewError(gateway.ErrTimeout,
		"shutdown: %d runs of scripts, or a deployment, were not done in time and have been ended: %w",
		n, context.Cause(ctx))
}
