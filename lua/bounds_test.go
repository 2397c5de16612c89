package lua_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// slow is a service whose function takes a while, or as long as its context lets it.
type slow struct {
	took           time.Duration // 0: until the context ends
	calls, ignored atomic.Int32  // ignored: calls with a context that had ended
}

func (s *slow) service() map[string]lua.Service {
	return map[string]lua.Service{
		"Slow": {"call": lua.Func(func(ctx context.Context, _ struct{}) (bool, error) {
			s.calls.Add(1)
			if ctx.Err() != nil {
				s.ignored.Add(1)
			}
			if s.took > 0 {
				time.Sleep(s.took)
				return true, nil
			}
			<-ctx.Done()
			return false, ctx.Err()
		})},
	}
}

// checkIdle expects that nothing runs or waits, and that the ledger knows of idle VMs
// only.
func checkIdle(t *testing.T, f *fixture) {
	t.Helper()
	memory, computing, waiting, short := f.host.Used()
	if idle := f.host.Idle(); computing != 0 || waiting != 0 || short != 0 || memory != idle {
		t.Errorf(
			"%d runs compute, %d wait for a turn, %d for memory; %d bytes are charged, %d of them to idle "+
				"VMs",
			computing,
			waiting,
			short,
			memory,
			idle,
		)
	}
}

// The whole time of a run is bounded, that in services included; no pcall helps.
func TestTimeInServicesIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{took: 7 * time.Second}
		f := newFixture(t, &lua.Options{Services: s.service()}, files(
			"a.lua",
			"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.message == 'loop' then while true do "+
				"pcall(Slow.call) end end\nreturn websocketInfo.message",
		))
		began := time.Now()
		p := f.talk(t, "/a", "loop", "x")
		time.Sleep(50 * time.Second)
		expect(t, p, "x")
		if took := time.Since(began); took < time.Minute || took > 70*time.Second {
			t.Errorf("the loop ended after %v, want a minute", took)
		}
		if n := s.calls.Load(); n != 9 {
			t.Errorf("%d calls of 7 s, want 9", n)
		}
		if !f.log.has(
			"script failed",
			"a.lua:2: script exceeded its budget: took more than 1m0s in all",
			"budget=total",
		) {
			t.Errorf("log:\n%s", f.log)
		}
		checkIdle(t, f)
	})
}

// A service that waits for its context waits no longer than the run may take.
func TestServiceContextHasTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		f := newFixture(
			t,
			&lua.Options{Services: s.service(), Limits: lua.Limits{Total: 3 * time.Second}},
			files(
				"a.lua",
				"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.message == 'wait' then Slow.call() end\nreturn "+
					"websocketInfo.message",
			),
		)
		began := time.Now()
		expect(t, f.talk(t, "/a", "wait", "x"), "x")
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("the run ended after %v, want 3s", took)
		}
		if !f.log.has("took more than 3s in all", "budget=total") {
			t.Errorf("log:\n%s", f.log)
		}
	})
}

// A run ends when its socket closes: what it waits for ends, what it calls then fails
// at once, and no pcall keeps it alive. That is no failure of the script.
func TestRunEndsWithItsSocket(t *testing.T) {
	for name, loop := range map[string]string{
		"a service":   "while true do pcall(Slow.call) end",
		"computing":   "while true do pcall(function() while true do end end) end",
		"an own send": "while true do pcall(websocketInfo.send, ('x'):rep(1e5)) end",
	} {
		t.Run(name, func(t *testing.T) {
			s := &slow{}
			f := newFixture(
				t,
				&lua.Options{
					Services: s.service(),
					Limits:   lua.Limits{Instructions: -1, Time: -1, Output: -1, Total: -1},
				},
				files(
					"a.lua",
					"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type == 'close' then return print('closed') "+
						"end\nif websocketInfo.message then print('begins') "+loop+" end",
				),
			)
			p := f.talk(t, "/a", "x")
			p.Stall()
			for !f.log.has("begins") {
				time.Sleep(time.Millisecond)
			}
			ids, err := f.gw.List(t.Context())
			if err != nil || len(ids) != 1 {
				t.Fatal(ids, err)
			}
			if err := f.gw.Close(t.Context(), ids[0]); err != nil {
				t.Fatal(err)
			}
			p.Resume()
			for !f.log.has("msg=closed") { // a hang is the test's failure
				time.Sleep(time.Millisecond)
			}
			if s.ignored.Load() > 0 || s.calls.Load() > 1 {
				t.Errorf("%d calls, %d of them after the end", s.calls.Load(), s.ignored.Load())
			}
			if !f.log.has("level=DEBUG", "script ended", "its socket has closed") ||
				f.log.has("script failed") {
				t.Errorf("log:\n%s", f.log)
			}
			for _, st := range f.host.Stats() {
				if st.Errors != 0 {
					t.Errorf("Stats: %+v", st)
				}
			}
		})
	}
}

// A run that closes its own socket goes on to its end: it has wanted that. What it
// waits for then ends with its whole time.
func TestRunGoesOnAfterClosingItsSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, how := range []string{
			"websocketInfo.close()", "Websocket.close{socket_id = websocketInfo.socket_id}",
			"Websocket.closeAll()",
			"Websocket.join{socket_id = websocketInfo.socket_id, group = 'g'} Websocket.closeAll{group = " +
				"'g'}",
		} {
			s := &slow{}
			f := newFixture(
				t,
				&lua.Options{Services: s.service(), Limits: lua.Limits{Total: 5 * time.Second}},
				files("a.lua",
					"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type ~= 'data' then return end\n"+how+
						"\nprint('goes on', Websocket.info{socket_id = 'x'}.type)\nSlow.call() print('never')"),
			)
			p := f.talk(t, "/a", "x")
			p.Closed()
			time.Sleep(10 * time.Second)
			if !f.log.has(`goes on\tnot_found`) || !f.log.has("took more than 5s in all") ||
				f.log.has("never") {
				t.Errorf("%s: log:\n%s", how, f.log)
			}
			if n := s.ignored.Load(); n > 0 {
				t.Errorf("%s: the service was called with a context that had ended", how)
			}
		}
	})
}

// A close event's run ends with the gateway's Shutdown.
func TestCloseEventEndsWithShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		f := newFixture(
			t,
			&lua.Options{Services: s.service(), Limits: lua.Limits{Total: -1}},
			files(
				"a.lua",
				"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type == 'close' then while true do "+
					"pcall(Slow.call) end end",
			),
		)
		f.Dial(t, "/a").Close(1000, "")
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if err := f.gw.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown = %v", err)
		}
		synctest.Wait()
		if n := s.calls.Load(); n != 1 || !f.log.has("script ended", "event=close") {
			t.Errorf("%d calls; log:\n%s", n, f.log)
		}
		checkIdle(t, f)
	})
}

// A module that waits does so no longer than the deployment may take.
func TestModulesEndWithTheirDeployment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		f := newFixture(t, &lua.Options{Services: s.service()}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := f.host.Deploy(
			ctx,
			files(
				"a.lua",
				"--#ENDPOINT WEBSOCKET /a\n",
				"modules/m.lua",
				"while true do pcall(Slow.call) end",
			),
		)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Deploy = %v, want the context's error", err)
		}
		_, err = f.host.Deploy(
			t.Context(),
			files(
				"a.lua",
				"--#ENDPOINT WEBSOCKET /a\n",
				"modules/m.lua",
				"while true do pcall(Slow.call) end",
			),
		)
		if err == nil ||
			!strings.Contains(
				err.Error(),
				"modules/m.lua:1: script exceeded its budget: took more than 1m0s in all",
			) {
			t.Errorf("Deploy = %v, want the budget's error", err)
		}
	})
}

// Lines are bounded per run and, for a host, per second.
func TestLogLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, &lua.Options{HostLimits: lua.HostLimits{LinesPerSecond: 50}}, files(
			"a.lua",
			"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.message == 'flood' then while true do "+
				"pcall(log.info, 'line') end end\nreturn websocketInfo.message",
		))
		p := f.talk(t, "/a", "flood", "x")
		expect(t, p, "x")
		if n := f.log.count("msg=line"); n != 50 {
			t.Errorf("%d lines in the log, want 50", n)
		}
		if !f.log.has(
			"script exceeded its budget: prints or logs more than 10000 lines",
			"budget=lines",
		) ||
			!f.log.has("level=WARN", "lines of scripts are dropped", "limit_per_second=50") {
			t.Errorf("log:\n%s", f.log)
		}
		time.Sleep(time.Second)
		p.Send(gateway.Text("flood"))
		p.Send(gateway.Text("y"))
		expect(t, p, "y")
		if n := f.log.count("msg=line"); n != 100 || !f.log.has("dropped_before=9950") {
			t.Errorf("a second later there are %d lines in the log, want 100:\n%s", n, f.log)
		}
	})
}

// Failures of scripts do not flood the log either.
func TestFailuresInTheLogAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, &lua.Options{HostLimits: lua.HostLimits{LinesPerSecond: 5}}, files("a.lua",
			"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.message == 'x' then return 'x' end error('again')"))
		p := f.Dial(t, "/a")
		for range 20 {
			p.Send(gateway.Text("fail"))
		}
		p.Send(gateway.Text("x"))
		expect(t, p, "x")
		if n := f.log.count("script failed"); n != 5 || !f.log.has("failures of scripts are dropped") {
			t.Errorf("%d failures in the log, want 5:\n%s", n, f.log)
		}
	})
}

// What scripts send is bounded per second: they wait.
func TestOutputPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, &lua.Options{HostLimits: lua.HostLimits{OutputPerSecond: 1000}}, files(
			"a.lua",
			"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type ~= 'data' then return end\nfor i = 1, 5 do "+
				"Websocket.send{socket_id = 'nobody', message = ('x'):rep(1000)} end return 'done'",
		))
		began := time.Now()
		expect(t, f.talk(t, "/a", "x"), "done")
		if took := time.Since(began); took < 3900*time.Millisecond || took > 4100*time.Millisecond {
			t.Errorf("5,000 bytes took %v, want 4 s: 1,000 are free, then 1,000 a second", took)
		}
		checkIdle(t, f)
	})
}

// Where memory is short, events wait for it; when too many wait, an event fails with
// an error that says so. Those that waited run when there is room.
func TestWaitingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{took: 10 * time.Second}
		f := newFixture(
			t,
			&lua.Options{Services: s.service(), HostLimits: lua.HostLimits{Memory: 700 << 10, Waiting: 2}},
			files(
				"a.lua",
				"--#ENDPOINT WEBSOCKET /a\nif websocketInfo.type == 'data' then Slow.call() return 'done' "+
					"end\nif websocketInfo.type == 'close' then print('closed') end",
			),
		)
		peers := []int{0, 1, 2, 3, 4, 5, 6}
		var running int32
		for range peers {
			f.talk(t, "/a", "x")
			synctest.Wait()
			if n := s.calls.Load(); n > running {
				running = n
			}
		}
		if running == 0 || running > 4 {
			t.Errorf("%d runs are under way, want some, but not many", running)
		}
		// Those that wait do so with their open event; of the others, open and data fail.
		if failed, want := f.log.count("budget=waiting"), 2*(len(peers)-int(running)-2); failed != want {
			t.Errorf("%d events failed, want %d: %d run and 2 wait\n%s", failed, want, running, f.log)
		}
		if !f.log.has("a.lua:2: script exceeded its budget: more than 2 events wait for their turn") {
			t.Errorf("log:\n%s", f.log)
		}
		time.Sleep(time.Minute)
		if n := s.calls.Load(); n != running+2 {
			t.Errorf("%d ran in the end, want %d", n, running+2)
		}
		if err := f.gw.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if n := f.log.count("msg=closed"); n != len(peers) {
			t.Errorf("%d close events, want %d: they always run", n, len(peers))
		}
		checkIdle(t, f)
	})
}

// What one event does to libraries, services, the operations and the string metatable
// does not reach the next, of whatever socket, in the same VM.
func TestEventsFindEverythingWhole(t *testing.T) {
	s := &slow{took: time.Nanosecond}
	f := newFixture(
		t,
		&lua.Options{Services: s.service(), IdleVMs: 1},
		files("modules/m.lua", "function helper() return type(Slow) end", "a.lua",
			`--#ENDPOINT WEBSOCKET /harm
if websocketInfo.type ~= "data" then return end
loadstring(websocketInfo.message)()
return "harmed"
--#ENDPOINT WEBSOCKET /honest
if websocketInfo.type ~= "data" then return end
return string.format("%s %s", websocketInfo.message:upper(), helper()) .. tostring(Slow.call()) ..
  Websocket.info{socket_id = websocketInfo.socket_id}.route .. #Websocket.list() .. to_json({math.floor(1.5)})
`),
	)
	harm, honest := f.Dial(t, "/harm"), f.Dial(t, "/honest")
	for _, text := range []string{
		"string.format = nil", `getmetatable("").__index = {}`,
		"Websocket.info = nil Websocket.list = print", "Slow.call = nil",
		"Slow = nil Websocket = nil string = nil", "setfenv(helper, {})", "math.floor = error",
		"to_json = nil json.encode = nil",
		"setmetatable(Slow, {__index = error})", "for k in pairs(Websocket) do Websocket[k] = nil end",
		"rawset(string, 'upper', nil)",
	} {
		harm.Send(gateway.Text(text))
		expect(t, harm, "harmed")
		honest.Send(gateway.Text("x"))
		expect(t, honest, "X tabletrue/honest2[1]")
	}
}
