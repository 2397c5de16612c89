package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"testing/fstest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/bench/internal/measure"
	"github.com/wsgateway/gateway/lua"
)

// thirtyLines is a script of the usual length.
const thirtyLines = `
local function total(items)
  local sum = 0
  for _, item in ipairs(items or {}) do
    sum = sum + (item.price or 0) * (item.count or 1)
  end
  return sum
end

local function describe(order)
  if not order.id then
    return "an order without id"
  end
  return string.format("%s: %d items, %.2f", order.id, #(order.items or {}), total(order.items))
end

if websocketInfo.type ~= "data" then
  return
end
local order = from_json(websocketInfo.message)
if type(order) ~= "table" then
  return {ok = false}
end
if order.debug then
  print(describe(order))
  websocketInfo.send{total = total(order.items), text = describe(order)}
end
if order.kind == "order" and order.amount > 10 then
  return {id = order.id, ok = true, total = order.amount * 2}
end
return {id = order.id, ok = false}
`

// measureMemory returns the bytes of heap that a VM with a script holds: those
// of many that ran at the same time, and then wait for the next event.
func measureMemory(ctx context.Context, s size) (perVM float64, err error) {
	var together sync.WaitGroup // all runs are under way
	together.Add(s.machine)
	meet := func(ctx context.Context, _ struct{}) (*struct{}, error) {
		together.Done()
		together.Wait()
		return nil, nil
	}
	gw := gateway.New(&gateway.Options{Limits: gateway.Limits{MessagesPerSecond: -1,
		PingInterval: -1}})
	host := lua.New(gw,
		&lua.Options{IdleVMs: s.machine,
			Services: map[string]lua.Service{"Bench": {"meet": lua.Func(meet)}}})
	_, err = host.Deploy(ctx, fstest.MapFS{"bench.lua": {Data: []byte(
		"--#ENDPOINT WEBSOCKET /bench\nif websocketInfo.type == 'data' then Bench.meet{} end\n" +
			thirtyLines)}})
	if err != nil {
		return 0, err
	}
	srv := &http.Server{Handler: gw, ReadHeaderTimeout: 10 * time.Second}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() {
		end, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = errors.Join(err, gw.Shutdown(end), srv.Shutdown(end))
		<-served
	}()
	clients, err := dialAll(ctx, ln.Addr().String(), s.machine)
	defer closeAll(clients)
	if err != nil {
		return 0, err
	}
	before := heap()
	var wg sync.WaitGroup
	errs := make([]error, len(clients))
	for i, c := range clients {
		wg.Go(func() { errs[i] = c.send(1) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, err
	}
	after := heap()
	runtime.KeepAlive(clients)
	return (float64(after) - float64(before)) / float64(s.machine), nil
}

func dialAll(ctx context.Context, address string, n int) ([]*client, error) {
	var all []*client
	for range n {
		c, err := dial(ctx, address, typicalMessage, typicalAnswer)
		if err != nil {
			return all, err
		}
		all = append(all, c)
	}
	return all, nil
}

func closeAll(all []*client) {
	for _, c := range all {
		_ = c.close() // it has done what it was for
	}
}

// heap returns the bytes of objects after garbage collection, in which pools
// are emptied too.
func heap() uint64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// measureDeploy returns the milliseconds that it takes to deploy 100 scripts, as
// often as they are deployed.
func measureDeploy(ctx context.Context, s size) ([]float64, error) {
	files := fstest.MapFS{"modules/m.lua": {Data: []byte("function helper(x) return x end\n")}}
	for i := range 100 {
		files[fmt.Sprintf("endpoints/e%d.lua", i)] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"--#ENDPOINT WEBSOCKET /e%d/{id}\n%s", i, thirtyLines)}
	}
	quiet := slog.New(slog.DiscardHandler)
	host := lua.New(gateway.New(&gateway.Options{Logger: quiet}), &lua.Options{Logger: quiet})
	var took []float64
	for range s.deploys {
		began := time.Now()
		deployed, err := host.Deploy(ctx, files)
		if err != nil {
			return nil, err
		}
		if len(deployed.Routes) != 100 {
			return nil, fmt.Errorf("deployed %d routes, want 100", len(deployed.Routes))
		}
		took = append(took, float64(time.Since(began).Microseconds())/1e3)
	}
	return took, host.Shutdown(ctx)
}

// middle is the median of what get returns for the turns.
func middle(turns []turn, get func(turn) float64) float64 {
	return measure.Median(each(turns, get))
}

func each(turns []turn, get func(turn) float64) []float64 {
	all := make([]float64, len(turns))
	for i, t := range turns {
		all[i] = get(t)
	}
	return all
}
