package lua_test

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// caller is a service that does what a test wants, with the context that it is given, with
// one of its own, or in a coroutine.
type caller struct {
	own bool
	do  func(ctx context.Context) error

	mu   sync.Mutex
	errs []error // guarded by mu
}

func (c *caller) service() map[string]lua.Service {
	return map[string]lua.Service{"Host": {"call": lua.Func(
		func(ctx context.Context, _ any) (any, error) {
			if c.own {
				ctx = context.Background()
			}
			err := c.do(ctx)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.errs = append(c.errs, err)
			return nil, nil
		})}}
}

// only returns what the one call has returned.
func (c *caller) only(t *testing.T) error {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.errs) != 1 {
		t.Fatalf("%d calls, want one: %v", len(c.errs), c.errs)
	}
	return c.errs[0]
}

var fromScripts = map[string]string{ // what a script calls, by how
	"plainly":        `Host.call()`,
	"in a coroutine": `coroutine.wrap(function() Host.call() end)()`,
	"in a sort":      `table.sort({2, 1}, function(a, b) Host.call() return a < b end)`,
}

// The services of scripts may deploy and trigger: a run waits for neither. Shutdown would
// wait for the run, and says so at once.
func TestHostCalledByScripts(t *testing.T) {
	replaced := files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'new'",
		"event_handler/b_c.lua", "return 'new'")
	for name, c := range map[string]struct {
		do     func(h *lua.Host, ctx context.Context) error
		want   error
		answer string // of the socket's next event
	}{
		"deploys": {func(h *lua.Host, ctx context.Context) error {
			_, err := h.Deploy(ctx, replaced)
			return err
		}, nil, "new"},
		"deploys an endpoint": {func(h *lua.Host, ctx context.Context) error {
			_, err := h.DeployEndpoint(ctx, "/a", "return 'one'")
			return err
		}, nil, "one"},
		"removes its route": {func(h *lua.Host, ctx context.Context) error {
			_, err := h.Deploy(ctx, files("a.lua", "--#ENDPOINT WEBSOCKET /other\nreturn 'other'"))
			return err
		}, nil, ""},
		"triggers": {func(h *lua.Host, ctx context.Context) error {
			got, err := h.Trigger(ctx, "x", "y", 5)
			if got != 6.0 {
				return errors.Join(err, errors.New("a wrong result"))
			}
			return err
		}, nil, "old"},
		"shuts down": {func(h *lua.Host, ctx context.Context) error {
			return h.Shutdown(ctx)
		}, gateway.ErrInvalid, "old"},
	} {
		for how, script := range fromScripts {
			for _, own := range []bool{false, true} {
				for _, from := range []string{"an endpoint", "a handler"} {
					t.Run(name+"/"+how+"/"+from, func(t *testing.T) {
						t.Parallel()
						service := &caller{own: own}
						f := newFixture(t, &lua.Options{Services: service.service()}, files(
							"a.lua", "--#ENDPOINT WEBSOCKET /a\nif websocketInfo.message == 'call' then\n"+
								script+"\nend\nreturn 'old'",
							"event_handler/b_c.lua", script+" return 'old'",
							"event_handler/x_y.lua", "return event + 1"))
						service.do = func(ctx context.Context) error { return c.do(f.host, ctx) }
						p := f.Dial(t, "/a")
						expect(t, p, "old")
						if from == "a handler" {
							if got, err := f.host.Trigger(t.Context(), "b", "c", nil); err != nil || got != "old" {
								t.Errorf("Trigger = %v, %v", got, err)
							}
						} else {
							p.Send(gateway.Text("call"))
							if c.answer != "" {
								expect(t, p, "old")
							}
						}
						if c.answer == "" {
							p.Closed()
						} else {
							p.Send(gateway.Text("x"))
							expect(t, p, c.answer)
						}
						if err := service.only(t); !errors.Is(err, c.want) || err != nil && c.want == nil {
							t.Errorf("it got %v, want %v", err, c.want)
						}
						if err := f.host.Shutdown(t.Context()); err != nil {
							t.Errorf("Shutdown from outside = %v", err)
						}
					})
				}
			}
		}
	}
}

// While the modules of a solution load, their services can trigger the handlers of the one
// before, but not deploy or shut down. Another host's services can do all of it.
func TestHostCalledByModules(t *testing.T) {
	deploy := func(h *lua.Host, ctx context.Context) error {
		_, err := h.Deploy(ctx, files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'new'"))
		return err
	}
	endpoint := func(h *lua.Host, ctx context.Context) error {
		_, err := h.DeployEndpoint(ctx, "/a", "return 'one'")
		return err
	}
	trigger := func(h *lua.Host, ctx context.Context) error {
		_, err := h.Trigger(ctx, "x", "y", 5)
		return err
	}
	shutdown := func(h *lua.Host, ctx context.Context) error { return h.Shutdown(ctx) }
	for name, c := range map[string]struct {
		do    func(h *lua.Host, ctx context.Context) error
		own   bool
		other bool // host
		want  error
	}{
		"deploys":                           {do: deploy, want: gateway.ErrInvalid},
		"deploys with another context":      {do: deploy, own: true, want: gateway.ErrInvalid},
		"deploys an endpoint":               {do: endpoint, want: gateway.ErrInvalid},
		"triggers":                          {do: trigger},
		"triggers with another context":     {do: trigger, own: true},
		"shuts down":                        {do: shutdown, want: gateway.ErrInvalid},
		"shuts down with another context":   {do: shutdown, own: true, want: gateway.ErrInvalid},
		"deploys to another host":           {do: deploy, other: true},
		"deploys an endpoint elsewhere":     {do: endpoint, other: true},
		"shuts another host down":           {do: shutdown, other: true},
		"triggers another's event handlers": {do: trigger, other: true},
	} {
		t.Run(name, func(t *testing.T) {
			service := &caller{own: c.own, do: func(context.Context) error { return nil }}
			handler := files("event_handler/x_y.lua", "return event + 1")
			f := newFixture(t, &lua.Options{Services: service.service()}, handler)
			target := f.host
			if c.other {
				target = lua.New(f.gw, &lua.Options{Name: "other", Logger: slog.New(slog.DiscardHandler)})
				if _, err := target.Deploy(t.Context(), handler); err != nil {
					t.Fatal(err)
				}
			}
			service.do = func(ctx context.Context) error { return c.do(target, ctx) }
			_, err := f.host.Deploy(t.Context(), files("modules/m.lua", "Host.call()",
				"a.lua", "--#ENDPOINT WEBSOCKET /mine\nreturn 'mine'"))
			if err != nil {
				t.Fatal(err)
			}
			service.mu.Lock()
			defer service.mu.Unlock()
			if err := service.errs[0]; !errors.Is(err, c.want) || err != nil && c.want == nil {
				t.Errorf("it got %v, want %v", err, c.want)
			}
		})
	}
}

// Endpoints in Go may call all of a host.
func TestHostCalledByGoEndpoint(t *testing.T) {
	f := newFixture(t, nil, files("event_handler/x_y.lua", "return event + 1"))
	f.gw.Handle("/go", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			_, err := f.host.Trigger(ctx, "x", "y", 1)
			if err == nil {
				_, err = f.host.Deploy(ctx, files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'a'"))
			}
			if err == nil {
				err = f.host.Shutdown(ctx)
			}
			if _, after := f.host.Trigger(ctx, "x", "y", 1); !errors.Is(after, gateway.ErrShutdown) {
				err = errors.Join(err, errors.New("Trigger after Shutdown"), after)
			}
			if err != nil {
				return s.Send(ctx, gateway.Text(err.Error()))
			}
			return s.Send(ctx, gateway.Text("done"))
		},
	})
	p := f.Dial(t, "/go")
	p.Send(gateway.Text("x"))
	expect(t, p, "done")
	expect(t, f.Dial(t, "/a"), "a") // events run on
}

// Triggered runs that nest with a context that says nothing about it are bounded, too.
func TestTriggerNestedWithOtherContexts(t *testing.T) {
	var host *lua.Host
	deepest := 0
	f := newFixture(t, &lua.Options{Services: map[string]lua.Service{
		"Again": {"run": lua.Func(func(_ context.Context, n int) (any, error) {
			deepest = max(deepest, n)
			return host.Trigger(context.Background(), "a", "b", n+1)
		})},
	}}, files("event_handler/a_b.lua",
		"local r = Again.run(event) return type(r) == 'table' and r.type or r"))
	host = f.host
	got, err := host.Trigger(t.Context(), "a", "b", 0)
	if got != "invalid_request" || err != nil || deepest != 7 {
		t.Errorf("Trigger = %v, %v, %d deep", got, err, deepest)
	}
}

// A host whose memory is all in the hands of runs that wait for runs that they have
// triggered says so to these, and all come to an end.
func TestTriggerNestedWithoutMemory(t *testing.T) {
	const limit = 2 << 20
	var host *lua.Host
	entered, all := make(chan struct{}), make(chan struct{})
	f := newFixture(t, &lua.Options{
		HostLimits: lua.HostLimits{Memory: limit},
		Services: map[string]lua.Service{"Nested": {"run": lua.Func(
			func(ctx context.Context, _ any) (string, error) {
				entered <- struct{}{}
				<-all // each holds what it has
				_, err := host.Trigger(ctx, "x", "y", nil)
				var failure *lua.ScriptError
				if errors.As(err, &failure) {
					return failure.Budget, nil
				}
				return "none", err
			})}},
	}, files("event_handler/a_b.lua", "return Nested.run()", "event_handler/x_y.lua", "return 1"))
	host = f.host
	results := make(chan any, 100)
	runs, short := 0, 0
	for memory := int64(0); limit-memory >= 128<<10; memory, _, _, _ = host.Used() {
		runs++
		go func() {
			got, err := host.Trigger(t.Context(), "a", "b", nil)
			if err != nil {
				got = err
			}
			results <- got
		}()
		<-entered
	}
	close(all)
	for range runs {
		switch got := <-results; got {
		case "host memory":
			short++
		case "none": // the first have made room
		default:
			t.Errorf("a run got %v", got)
		}
	}
	if short == 0 {
		t.Errorf("none of %d runs was told that memory is short", runs)
	}
}

// When the context of Shutdown ends, all runs do: endless ones, those that wait for a
// turn, and those whose service heeds its context; and the deployment under way.
func TestShutdownEndsRuns(t *testing.T) {
	entered, ended := make(chan struct{}, 8), make(chan error, 8)
	wait := lua.Func(func(ctx context.Context, _ any) (any, error) {
		entered <- struct{}{}
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, nil
	})
	f := newFixture(t, &lua.Options{
		Limits:     lua.Limits{Instructions: -1, Time: -1, Total: -1},
		HostLimits: lua.HostLimits{Computing: 1},
		Services:   map[string]lua.Service{"Wait": {"here": wait}, "Loop": {"begins": started(entered)}},
	}, files(
		"a.lua", `--#ENDPOINT WEBSOCKET /wait
if websocketInfo.type == "data" then Wait.here() end
--#ENDPOINT WEBSOCKET /loop
if websocketInfo.type == "data" then Loop.begins() while true do end end`,
		"event_handler/x_y.lua", "Wait.here()",
		"event_handler/x_loop.lua", "Loop.begins() while true do end"))
	for _, path := range []string{"/wait", "/loop"} {
		f.Dial(t, path).Send(gateway.Text("x"))
	}
	results := make(chan error, 3)
	for _, event := range []string{"y", "loop"} {
		go func() {
			_, err := f.host.Trigger(context.Background(), "x", event, nil)
			results <- err
		}()
	}
	go func() {
		_, err := f.host.Deploy(context.Background(), files("modules/m.lua", "Wait.here()"))
		results <- err
	}()
	for range 5 {
		<-entered
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	err := f.host.Shutdown(ctx)
	if !errors.Is(err, gateway.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "4 runs") {
		t.Errorf("Shutdown = %v, want a timeout with 4 runs", err)
	}
	for range 3 {
		if err := <-results; !errors.Is(err, gateway.ErrShutdown) {
			t.Errorf("what was under way ended with %v, want shutting_down", err)
		}
		if err := <-ended; err != context.Canceled {
			t.Errorf("the context of a service ended with %v", err)
		}
	}
	if err := f.host.Shutdown(context.Background()); err != nil {
		t.Errorf("Shutdown again = %v", err)
	}
	if !f.log.has("script ended", "route=/loop", "shut down") || f.log.has("script failed") {
		t.Errorf("the log says\n%s", f.log)
	}
	p := f.Dial(t, "/wait") // no event runs any more
	p.Send(gateway.Text("x"))
	p.Close(1000, "")
	p.Closed()
	if err := f.gw.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if len(entered) > 0 {
		t.Error("an event has run after Shutdown")
	}
}

// started tells that a script has come so far.
func started(entered chan<- struct{}) lua.Function {
	return lua.Func(func(context.Context, any) (any, error) {
		entered <- struct{}{}
		return nil, nil
	})
}

// Shutdown with time waits for the runs of events, too, and those that come later run.
func TestShutdownWaitsForEvents(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	f := newFixture(t, &lua.Options{Services: map[string]lua.Service{"Wait": {"here": lua.Func(
		func(context.Context, any) (string, error) {
			entered <- struct{}{}
			<-release
			return "done", nil
		})}}}, files("a.lua", `--#ENDPOINT WEBSOCKET /a
if websocketInfo.message == "wait" then return Wait.here() end
return "hello"`))
	p := f.Dial(t, "/a")
	expect(t, p, "hello")
	p.Send(gateway.Text("wait"))
	<-entered
	down := make(chan error)
	go func() { down <- f.host.Shutdown(context.Background()) }()
	expect(t, f.Dial(t, "/a"), "hello")
	select {
	case err := <-down:
		t.Errorf("Shutdown has not waited: %v", err)
	default:
	}
	close(release)
	if err := <-down; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
	expect(t, p, "done")
	expect(t, f.Dial(t, "/a"), "hello")
}

// Deployments that wait for another one end with their contexts.
func TestDeployWaitsNoLongerThanItsContext(t *testing.T) {
	entered, release := make(chan struct{}, 1), make(chan struct{})
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	host := lua.New(gw, &lua.Options{Logger: slog.New(slog.DiscardHandler),
		Services: map[string]lua.Service{"Wait": {"here": lua.Func(
			func(context.Context, any) (any, error) {
				entered <- struct{}{}
				<-release
				return nil, nil
			})}}})
	results := make(chan error)
	deploy := func(ctx context.Context, fsys fs.FS) {
		_, err := host.Deploy(ctx, fsys)
		results <- err
	}
	go deploy(t.Context(), files("modules/m.lua", "Wait.here()"))
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	go deploy(ctx, files("a.lua", "--#ENDPOINT WEBSOCKET /a\nreturn 'a'"))
	cancel()
	if err := <-results; !errors.Is(err, context.Canceled) {
		t.Errorf("the deployment that waits ended with %v", err)
	}
	close(release)
	if err := <-results; err != nil {
		t.Errorf("the deployment under way ended with %v", err)
	}
	gatewaytest.NewServer(t, gw)
}
