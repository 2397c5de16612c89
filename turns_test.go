package gateway_test

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// However many readers never run out of bytes, whoever is ready to run waits for a few of
// them only, not for all.
func TestTurnsLeaveRoomForOthers(t *testing.T) {
	gw := quiet()
	var turns atomic.Int64
	var stop atomic.Bool
	var readers sync.WaitGroup
	const greedy = 500
	for range greedy {
		readers.Go(func() {
			for !stop.Load() {
				gateway.WaitTurn(gw)
				turns.Add(1)
			}
		})
	}
	for turns.Load() < greedy { // until all are at it
		runtime.Gosched()
	}
	const times = 200
	began := turns.Load()
	for range times {
		runtime.Gosched()
	}
	mean := (turns.Load() - began) / times
	stop.Store(true)
	readers.Wait()
	if most := int64(16 * runtime.GOMAXPROCS(0)); mean > most {
		t.Errorf("one run in between waits for %d turns of %d greedy readers, want at most %d",
			mean, greedy, most)
	}
}

// The time in line is not the client's: its message is not late by it.
func TestTurnIsNotTheClientsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw, r := withLimits(gateway.Limits{MessageTimeout: time.Second}), &recorder{}
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/")
		end := gateway.TakeAllTurns(gw)
		var client sync.WaitGroup
		defer client.Wait()
		half := strings.Repeat("x", 30_000)
		client.Go(func() { p.write(append(masked(0x02, half), masked(0x80, half)[:29_000]...)) })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if n := r.count(); n != 1 {
			t.Fatalf("%d events while all turns are taken, want the open event alone", n)
		}
		end()
		time.Sleep(500 * time.Millisecond) // the client's own time
		p.write(masked(0x80, half)[29_000:])
		synctest.Wait()
		if n := r.count(); n != 2 || gw.Stats().Open != 1 {
			t.Errorf("%d events, closed %v; want the message, and the socket open", n, gw.Stats().Closed)
		}
	})
}
