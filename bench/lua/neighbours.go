package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing/fstest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/lua"
)

// The solution that disturbs, and is disturbed. Each of the first two scripts wants all
// there is of something.
const neighbourScripts = `
--#ENDPOINT WEBSOCKET /endless
if websocketInfo.type ~= "data" then return end
websocketInfo.send("begun")
while true do pcall(function() while true do end end) end
--#ENDPOINT WEBSOCKET /bomb
if websocketInfo.type ~= "data" then return end
websocketInfo.send("begun")
local t = {} while true do t[#t + 1] = {("x"):rep(100) .. #t} end
--#ENDPOINT WEBSOCKET /lua
return websocketInfo.message
--#ENDPOINT WEBSOCKET /work
if websocketInfo.type ~= "data" then return end
local n = 0
for i = 1, 2000000 do n = n + 1 end
return websocketInfo.message
`

// neighbours is the endpoint of the process that the neighbours share. All bounds have
// their defaults, but for the instructions: an endless script computes for five seconds.
var neighbours = endpoint{name: "neighbours", install: func(gw *gateway.Handler) error {
	gw.Handle(
		"/go",
		gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		}},
	)
	_, err := lua.New(gw, &lua.Options{
		Logger: slog.New(slog.DiscardHandler), // thousands fail
		Limits: lua.Limits{Instructions: -1},
	}).Deploy(context.Background(),
		fstest.MapFS{"neighbours.lua": {Data: []byte(neighbourScripts)}})
	return err
}}

// A calm is what a process does beside others that want everything.
type calm struct {
	name         string
	inGo, inLua  measure.Histogram // round trips of echoes
	work         measure.Histogram // of a script that computes for about 0.1 s
	asked        int64             // of such scripts
	peak, after  float64           // MB of the process in RAM: at most, and when the others have gone
	back         time.Duration     // how long it took to fall to that
	disturbances int64             // messages that were sent to the disturbing scripts
}

// measureNeighbours measures echoes alone, beside endless scripts, and beside memory
// bombs.
func measureNeighbours(ctx context.Context, s size) ([]*calm, error) {
	var all []*calm
	for _, c := range []struct{ name, path string }{
		{"alone", ""},
		{fmt.Sprintf("beside %d endless scripts", s.disturbers), "/endless"},
		{fmt.Sprintf("beside %d memory bombs", s.disturbers), "/bomb"},
	} {
		one, err := measureCalm(ctx, s, c.name, c.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		all = append(all, one)
	}
	return all, nil
}

func measureCalm(ctx context.Context, s size, name, path string) (c *calm, err error) {
	c = &calm{name: name}
	p, err := start(ctx, neighbours)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	disturbing, stop := context.WithCancel(ctx)
	defer stop()
	var others sync.WaitGroup
	var disturbers []*client
	defer func() {
		stop()
		closeAll(disturbers)
		others.Wait()
	}()
	for path != "" && len(disturbers) < s.disturbers {
		d, err := dialPath(ctx, p.address, path, "go", "begun")
		if err != nil {
			return nil, err
		}
		disturbers = append(disturbers, d)
		others.Go(func() { c.disturb(disturbing, d) })
	}
	if path != "" {
		pause(ctx, min(3*time.Second, s.calm)) // all of them are at it
	}
	var wg sync.WaitGroup
	errs := make([]error, 3)
	end := time.Now().Add(s.calm)
	for i, ask := range []struct {
		path  string
		times *measure.Histogram
		every time.Duration
	}{{"/go", &c.inGo, 10 * time.Millisecond}, {"/lua", &c.inLua, 10 * time.Millisecond},
		{"/work", &c.work, 200 * time.Millisecond}} {
		a, err := dialPath(ctx, p.address, ask.path, "a message", "a message")
		if err != nil {
			return nil, err
		}
		defer a.close()
		wg.Go(func() {
			for errs[i] == nil && time.Now().Before(end) {
				began := time.Now()
				if errs[i] = a.send(1); errs[i] == nil {
					ask.times.Add(time.Since(began))
				}
				pause(ctx, ask.every)
			}
		})
	}
	wg.Wait()
	c.asked = c.work.Count()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	stop()
	closeAll(disturbers)
	disturbers = nil
	others.Wait()
	return c, c.settle(ctx, p.ID(), s.settle)
}

// little is how many MB the process has to come back to.
const little = 100

// settle waits until the process is small again.
func (c *calm) settle(ctx context.Context, pid int, patience time.Duration) (err error) {
	for began := time.Now(); ; pause(ctx, 100*time.Millisecond) {
		c.back = time.Since(began)
		c.after, c.peak, err = residents(pid)
		if err != nil || ctx.Err() != nil || c.after < little || c.back > patience {
			return err
		}
	}
}

// disturb sends the next message as soon as the script for the one before has begun,
// so that the next run begins when that one has been ended.
func (c *calm) disturb(ctx context.Context, d *client) {
	for ctx.Err() == nil && d.send(1) == nil {
		atomic.AddInt64(&c.disturbances, 1)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// residents returns how much of a process is in RAM, in MB: now, and at most so far.
// Both are 0 where the system does not tell in the way that Linux does.
func residents(pid int) (now, peak float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if errors.Is(err, os.ErrNotExist) {
		return 0, 0, nil
	}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		if name != "VmRSS" && name != "VmHWM" {
			continue
		}
		kb, err := strconv.ParseFloat(
			strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")),
			64,
		)
		if err != nil {
			return 0, 0, err
		}
		if name == "VmRSS" {
			now = kb / 1e3
		} else {
			peak = kb / 1e3
		}
	}
	return now, peak, err
}

// formatNeighbours writes the report in Markdown.
func formatNeighbours(all []*calm) string {
	var b strings.Builder
	ms := func(h *measure.Histogram, q float64) string {
		return fmt.Sprintf("%.1f", float64(h.Quantile(q).Microseconds())/1e3)
	}
	b.WriteString(
		"| neighbours | Go echo, p50 / p99 ms | Lua echo, p50 / p99 ms | 0.1 s of work, p50 / max ms | " +
			"answered | RAM at most, then, after |\n|---|--:|--:|--:|--:|--:|\n",
	)
	for _, c := range all {
		fmt.Fprintf(
			&b,
			"| %s | %s / %s | %s / %s | %s / %.0f | %d of %d | %.0f, %.0f MB, %.1f s |\n",
			c.name,
			ms(&c.inGo, 0.5),
			ms(&c.inGo, 0.99),
			ms(
				&c.inLua,
				0.5,
			),
			ms(&c.inLua, 0.99),
			ms(&c.work, 0.5),
			float64(c.work.Max().Milliseconds()),
			c.work.Count(),
			c.asked,
			c.peak,
			c.after,
			c.back.Seconds(),
		)
	}
	b.WriteString("\n| goal | reached |\n|---|---|\n")
	for _, c := range all[1:] {
		inGo, inLua := c.inGo.Quantile(0.99), c.inLua.Quantile(0.99)
		fmt.Fprintf(
			&b,
			"| %s, the p99 of a Go echo is at most 100 ms | %v: %s |\n",
			c.name,
			inGo.Round(time.Millisecond),
			yes(inGo <= 100*time.Millisecond),
		)
		fmt.Fprintf(
			&b,
			"| %s, the p99 of a Lua echo is at most 150 ms | %v: %s |\n",
			c.name,
			inLua.Round(time.Millisecond),
			yes(inLua <= 150*time.Millisecond),
		)
		fmt.Fprintf(
			&b,
			"| %s, the process stays below 512 MB, and is soon below %d MB again | %.0f MB, %.1f s: %s |\n",
			c.name,
			little,
			c.peak,
			c.back.Seconds(),
			yes(c.peak < 512 && c.after < little),
		)
	}
	return b.String()
}
