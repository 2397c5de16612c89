package lua_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// A handler of a device's event sends to the sockets that listen.
func TestTriggerReachesSockets(t *testing.T) {
	f := newFixture(t, nil, files(
		"modules/util.lua",
		`local function label(e) return e.identity .. "=" .. to_json(e.payload) end`,
		"endpoints/listen.lua",
		"--#ENDPOINT WEBSOCKET /listen\nif websocketInfo.type == 'open' then Websocket.join{socket_id "+
			"= websocketInfo.socket_id, group = 'all'} return 'ready' end",
		"event_handler/device.lua",
		"--#EVENT device2 event\nlocal n = Websocket.send{group = 'all', message = "+
			"label(event)}\nreturn {reached = n, same = event == data}",
	))
	a, b := f.Dial(t, "/listen"), f.Dial(t, "/listen")
	expect(t, a, "ready")
	expect(t, b, "ready")
	event := map[string]any{"identity": "dev1", "payload": []int{1, 2}}
	got, err := f.host.Trigger(t.Context(), "Device2", "EVENT", event)
	if fmt.Sprint(got, err) != "map[reached:2 same:true] <nil>" {
		t.Errorf("Trigger = %v, %v; want 2 reached", got, err)
	}
	expect(t, a, "dev1=[1,2]")
	expect(t, b, "dev1=[1,2]")
	for _, s := range f.host.Stats() {
		if s.Event == "device2 event" &&
			(s.File != "event_handler/device.lua" || s.Runs != 1 || s.Instructions == 0) {
			t.Errorf("Stats has %+v", s)
		}
	}
}

func TestTriggerHandlers(t *testing.T) {
	f := newFixture(t, nil, files(
		"a.lua",
		"--#ENDPOINT WEBSOCKET /a\n--#EVENT user account\nreturn data.name .. account.name\n--#EVENT x "+
			"y\nfunction handle_x_y(event) return event + 1 end",
		"modules/m.lua",
		"function handle_config_Service(event) return type(event) end\nlocal function "+
			"handle_not_global() end\nhandle_number_event = 5",
		"event_handler/timer_timer.lua",
		"n = (n or 0) + 1 return n, timer",
		"event_handler/nothing_back.lua",
		"local x = 1",
		"event_handler/many_types.lua",
		"return {list = {1, 'a', true}, empty = json.array(), t = {x = 1.5}}",
		"services/websocket.lua",
		"--#EVENT other\nreturn 'other'",
	))
	for _, c := range []struct {
		service, event string
		arg            any
		want           string
	}{
		{"user", "account", struct {
			Name string `json:"name"`
		}{"ada"}, "adaada"},
		{"x", "y", 41, "42"},
		{"config", "service", nil, "nil"},
		{"timer", "timer", nil, "1"},
		{"timer", "timer", nil, "1"}, // globals end with the run
		{"nothing", "back", "x", "<nil>"},
		{"many", "types", nil, "map[empty:[] list:[1 a true] t:map[x:1.5]]"},
		{"websocket", "other", nil, "other"},
	} {
		if got, err := f.host.Trigger(t.Context(), c.service, c.event, c.arg); err != nil ||
			fmt.Sprint(got) != c.want {
			t.Errorf("Trigger(%s, %s) = %v, %v; want %s", c.service, c.event, got, err, c.want)
		}
	}
	for _, name := range []string{"none", "number event", "not global", "websocket websocket_info"} {
		service, event, _ := strings.Cut(name, " ")
		if got, err := f.host.Trigger(t.Context(), service, event, nil); !errors.Is(
			err,
			gateway.ErrNotFound,
		) {
			t.Errorf("Trigger(%s) = %v, %v; want not_found", name, got, err)
		}
	}
	if _, err := lua.New(f.gw, nil).Trigger(t.Context(), "x", "y", nil); !errors.Is(
		err,
		gateway.ErrNotFound,
	) {
		t.Errorf("Trigger without a deployment: %v, want not_found", err)
	}
}

func TestTriggerErrors(t *testing.T) {
	f := newFixture(t, &lua.Options{Limits: lua.Limits{Instructions: 100_000}}, files(
		"event_handler/e.lua", `--#EVENT fails text
error("wanted")
--#EVENT fails object
error(setmetatable({}, {__tostring = function() return "an object" end}))
--#EVENT fails budget
while true do pcall(function() while true do end end) end
--#EVENT gives function
return {f = print}
--#EVENT uses socket
return handle_websocket_websocket_info({})
--#EVENT waits ever
return Slow.call().type`))
	for name, want := range map[string]string{
		"fails text":     "event_handler/e.lua:2: wanted",
		"fails object":   "event_handler/e.lua:4: an object",
		"fails budget":   "event_handler/e.lua:6: script exceeded its budget",
		"gives function": "event_handler/e.lua:8: the result f: a function cannot be given to a service",
		"uses socket": "event_handler/e.lua:10: handle_websocket_websocket_info: the event is none " +
			"of a socket's",
	} {
		service, event, _ := strings.Cut(name, " ")
		_, err := f.host.Trigger(t.Context(), service, event, nil)
		var failure *lua.ScriptError
		if !errors.As(err, &failure) || !strings.HasPrefix(failure.Text, want) ||
			failure.Error() != failure.Text {
			t.Errorf("Trigger(%s) = %v, want %s", name, err, want)
		} else if (failure.Budget == "instructions") != (name == "fails budget") {
			t.Errorf("Trigger(%s): budget %q", name, failure.Budget)
		}
		if !f.log.has("script failed", "trigger=\""+name+"\"", "script=event_handler/e.lua") {
			t.Errorf("%s is not in the log:\n%s", name, f.log)
		}
	}
	if _, err := f.host.Trigger(t.Context(), "fails", "text", func() {}); !errors.Is(
		err,
		gateway.ErrInvalid,
	) {
		t.Errorf("Trigger with a function = %v, want invalid_request", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.host.Trigger(ended, "fails", "text", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Trigger with an ended context = %v", err)
	}
	f.host.Shutdown(t.Context())
	if _, err := f.host.Trigger(t.Context(), "fails", "text", nil); !errors.Is(
		err,
		gateway.ErrShutdown,
	) {
		t.Errorf("Trigger after Shutdown = %v", err)
	}
}

// Handlers that run one another, by way of a service, come to an end.
func TestTriggerNested(t *testing.T) {
	var host *lua.Host
	deepest := 0
	f := newFixture(
		t,
		&lua.Options{
			Services: map[string]lua.Service{
				"Again": {"run": lua.Func(func(ctx context.Context, n int) (any, error) {
					deepest = max(deepest, n)
					return host.Trigger(ctx, "a", "b", n+1)
				})},
			},
		},
		files(
			"event_handler/a_b.lua",
			"local r = Again.run(event) return type(r) == 'table' and r.type or r",
		),
	)
	host = f.host
	got, err := host.Trigger(t.Context(), "a", "b", 0)
	if got != "invalid_request" || err != nil || deepest != 7 {
		t.Errorf(
			"Trigger = %v, %v, %d deep; want an error of type invalid_request below",
			got,
			err,
			deepest,
		)
	}
}

// Shutdown waits for the handlers that run.
func TestShutdownWaitsForTrigger(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	f := newFixture(
		t,
		&lua.Options{
			Services: map[string]lua.Service{
				"Wait": {"here": lua.Func(func(ctx context.Context, _ any) (any, error) {
					close(entered)
					<-release
					return "done", nil
				})},
			},
		},
		files("event_handler/a_b.lua", "return Wait.here()"),
	)
	results := make(chan any, 1)
	go func() {
		r, _ := f.host.Trigger(context.Background(), "a", "b", nil)
		results <- r
	}()
	<-entered
	down := make(chan error)
	go func() { down <- f.host.Shutdown(context.Background()) }()
	for { // until Shutdown has begun
		_, err := f.host.Trigger(t.Context(), "no", "such", nil)
		if errors.Is(err, gateway.ErrShutdown) {
			break
		}
	}
	select {
	case err := <-down:
		t.Errorf("Shutdown while a handler runs = %v", err)
	default:
	}
	close(release)
	if err := <-down; err != nil {
		t.Error(err)
	}
	if r := <-results; r != "done" {
		t.Errorf("Trigger = %v", r)
	}
}

func TestTriggerAtOnce(t *testing.T) {
	f := newFixture(
		t,
		nil,
		files(
			"a.lua",
			"--#ENDPOINT WEBSOCKET /a\nWebsocket.join{socket_id = websocketInfo.socket_id, group = 'g'} "+
				"return websocketInfo.message",
			"event_handler/a_b.lua",
			"Websocket.send{group = 'g', message = 'x'} return event * 2",
		),
	)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for k := range 20 {
				n := i*100 + k
				if got, err := f.host.Trigger(context.Background(), "a", "b", n); err != nil ||
					got != float64(2*n) {
					t.Errorf("Trigger(%d) = %v, %v", n, got, err)
				}
			}
		})
		f.Dial(t, "/a")
	}
	wg.Wait()
}
