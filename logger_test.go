package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

// A slowLogger takes its time for every line.
type slowLogger struct {
	takes time.Duration
	lines *atomic.Int64
}

func (l slowLogger) Enabled(_ context.Context,
	level slog.Level) bool {
	return level > slog.LevelDebug
}
func (l slowLogger) WithAttrs([]slog.Attr) slog.Handler { return l }
func (l slowLogger) WithGroup(string) slog.Handler      { return l }
func (l slowLogger) Handle(context.Context, slog.Record) error {
	l.lines.Add(1)
	time.Sleep(l.takes)
	return nil
}

// Nobody but the socket that a line is about waits for a slow logger: neither a message to
// all, many of whom are closed for it, nor the timeouts of others.
func TestSlowLoggerDelaysNobody(t *testing.T) {
	for _, policy := range []gateway.QueuePolicy{gateway.QueueClose, gateway.QueueRefuse} {
		bubble(t, fmt.Sprint(policy), func(t *testing.T) {
			lines := new(atomic.Int64)
			gw := gateway.New(&gateway.Options{
				Logger:        slog.New(slowLogger{10 * time.Second, lines}),
				LogsPerSecond: -1, // every line, of a logger that is slow with each
				Limits: gateway.Limits{MessagesPerSecond: -1, QueueMessages: 1, OnQueueFull: policy,
					WriteTimeout: 5 * time.Second},
			})
			r, good := &recorder{}, &recorder{}
			gw.Handle("/slow", r)
			gw.HandleRoute(gateway.Route{Pattern: "/good", Endpoint: good,
				Limits: gateway.Limits{QueueMessages: 100, IdleTimeout: 30 * time.Second}})
			srv := serve(t, gw)
			for range 50 {
				p := srv.Dial(t, "/slow")
				synctest.Wait()
				block(t, r.socket(), p)
			}
			p := srv.Dial(t, "/good")
			synctest.Wait()
			began := time.Now()
			for i := range 5 {
				if _, err := gw.All().Send(t.Context(), gateway.Text(fmt.Sprint(i))); err != nil {
					t.Error(err)
				}
				wantText(t, p, fmt.Sprint(i))
			}
			if d := time.Since(began); d > time.Second {
				t.Errorf("a good client got five messages after %v, while a logger took its time", d)
			}
			began = time.Now()
			wantClosed(t, p, 1001, "idle")
			if d := time.Since(began); d > 35*time.Second {
				t.Errorf("an idle socket was closed after %v, want 30s and a sweep", d)
			}
			if n := lines.Load(); n < 50 {
				t.Errorf("%d lines were logged, want one for each of 50 slow clients", n)
			}
		})
	}
}

// A panickingLogger panics in every line.
type panickingLogger struct{ lines *atomic.Int64 }

func (l panickingLogger) Enabled(context.Context, slog.Level) bool { return true }
func (l panickingLogger) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l panickingLogger) WithGroup(string) slog.Handler            { return l }
func (l panickingLogger) Handle(context.Context, slog.Record) error {
	l.lines.Add(1)
	panic("the disk is full")
}

// A logger that panics costs its line: sockets open and close, slow ones are given up,
// messages come, and Shutdown returns.
func TestPanickingLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines := new(atomic.Int64)
		gw := gateway.New(&gateway.Options{
			Logger: slog.New(panickingLogger{lines}), MaxSockets: 3,
			Limits: gateway.Limits{QueueMessages: 1, OnQueueFull: gateway.QueueClose, Burst: 1,
				MessagesPerSecond: 1},
		})
		r := &recorder{}
		gw.Handle("/slow", r)
		gw.Handle("/echo", echo())
		srv := serve(t, gw)
		for range 10 { // more than MaxSockets: none keeps its place
			p := srv.Dial(t, "/slow")
			synctest.Wait()
			block(t, r.socket(), p)
			gw.All().Send(t.Context(), gateway.Text("1"))
			gw.All().Send(t.Context(), gateway.Text("2"))
			time.Sleep(5 * time.Second)
			p.Cut()
			synctest.Wait()
		}
		p := srv.Dial(t, "/echo")
		for i := range 3 { // above the rate: each is logged
			p.Send(gateway.Text(fmt.Sprint(i)))
			wantText(t, p, fmt.Sprint(i))
		}
		if lines.Load() == 0 {
			t.Error("nothing was logged")
		}
	})
}
