package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
)

func keyed(key, text string) gateway.Message {
	m := gateway.Text(text)
	m.Key = key
	return m
}

func pad(text string, size int) string { return text + strings.Repeat(".", size-len(text)) }

// A latest value for which there is no room leaves the older one of its key where it was:
// the client sees one of the two.
func TestLatestValueThatIsRefused(t *testing.T) {
	sends := map[string]func(gw *gateway.Handler, s *gateway.Socket, m gateway.Message) bool{
		"Send": func(gw *gateway.Handler, s *gateway.Socket, m gateway.Message) bool {
			return s.Send(context.Background(), m) == nil
		},
		"All().Send": func(gw *gateway.Handler, s *gateway.Socket, m gateway.Message) bool {
			n, err := gw.All().Send(context.Background(), m)
			return n == 1 && err == nil
		},
	}
	for by, send := range sends {
		for _, c := range []struct {
			name   string
			limits gateway.Limits
			budget int64
			size   int
		}{
			{"bytes", gateway.Limits{QueueBytes: 112_000}, 0, 9_000},
			{"bytes, refusing to drop", gateway.Limits{QueueBytes: 112_000,
				OnQueueFull: gateway.QueueDropOldest}, 0, 90_000},
			{"memory of all", gateway.Limits{QueueBytes: -1, QueueMessages: -1}, 200 << 10, 120_000},
		} {
			bubble(t, by+"/"+c.name, func(t *testing.T) {
				o := gateway.Options{MaxQueuedBytes: c.budget, Limits: c.limits}
				o.MessagesPerSecond = -1
				gw := gateway.New(&o)
				s, p := open(t, gw, &recorder{})
				block(t, s, p)
				old, other := pad("old", 4_000), pad("other", 5_000)
				if !send(gw, s, keyed("price", old)) || !send(gw, s, gateway.Text(other)) {
					t.Fatal("the first messages are refused")
				}
				if send(gw, s, keyed("price", pad("new", c.size))) {
					t.Errorf("a message of %d bytes is accepted, want the queue to be full", c.size)
				}
				p.Resume()
				for _, want := range []string{blocker, old, other} {
					wantText(t, p, want)
				}
				if st := gw.Stats(); st.Lost["replaced"] != 0 || st.Lost["oldest"] != 0 || st.QueueFull != 1 {
					t.Errorf("lost: %v, %d refused, want nothing lost and 1 refused", st.Lost, st.QueueFull)
				}
			})
		}
	}
}

// A policy that drops messages drops none for a message that finds no room all the same.
func TestPolicyDropsNothingInVain(t *testing.T) {
	for _, policy := range []gateway.QueuePolicy{gateway.QueueDropOldest, gateway.QueueDropNewest} {
		for name, group := range map[string]bool{"Send": false, "group": true} {
			bubble(t, fmt.Sprint(policy, " ", name), func(t *testing.T) {
				gw := withLimits(gateway.Limits{OnQueueFull: policy})
				s, p := open(t, gw, &recorder{})
				p.Stall()
				half := strings.Repeat("h", 900_000)
				wantErr(t, "Send", s.Send(t.Context(), gateway.Text(half)), nil)
				synctest.Wait()
				for i := range 20 {
					wantErr(t, "Send", s.Send(t.Context(), gateway.Text(fmt.Sprint(i))), nil)
				}
				large := gateway.Text(strings.Repeat("l", 700_000))
				if group {
					if n, err := gw.All().Send(t.Context(), large); n != 0 || err != nil {
						t.Errorf("All().Send = %d, %v, want 0 that accepted", n, err)
					}
				} else {
					wantErr(t, "Send of what has no room", s.Send(t.Context(), large), gateway.ErrQueueFull)
				}
				p.Resume()
				wantText(t, p, half)
				for i := range 20 {
					wantText(t, p, fmt.Sprint(i))
				}
				if lost := gw.Stats().Lost; lost["oldest"]+lost["newest"] != 0 {
					t.Errorf("lost: %v, want nothing", lost)
				}
			})
		}
	}
}

// SendSync of a message that gave way to others says so; its socket is open.
func TestSendSyncOfADroppedMessage(t *testing.T) {
	for name, c := range map[string]struct {
		policy gateway.QueuePolicy
		sync   gateway.Message
		others []gateway.Message
	}{
		"oldest": {gateway.QueueDropOldest, gateway.Text("sync"), []gateway.Message{gateway.Text("a"),
			gateway.Text("b"), gateway.Text("c")}},
		"newest": {gateway.QueueDropNewest, gateway.Text("sync"), []gateway.Message{gateway.Text("a"),
			gateway.Text("b"), gateway.Text("c")}},
		"replaced": {gateway.QueueRefuse, keyed("k", "sync"), []gateway.Message{keyed("k", "later")}},
	} {
		bubble(t, name, func(t *testing.T) {
			gw := withLimits(gateway.Limits{QueueMessages: 2, OnQueueFull: c.policy})
			s, p := open(t, gw, &recorder{})
			block(t, s, p)
			got := make(chan error, 1)
			go func() { got <- s.SendSync(context.Background(), c.sync) }()
			synctest.Wait()
			for _, m := range c.others {
				wantErr(t, "Send", s.Send(t.Context(), m), nil)
			}
			err := <-got
			wantErr(t, "SendSync of a message that gave way", err, gateway.ErrDropped)
			if errors.Is(err, gateway.ErrClosed) || s.Context().Err() != nil {
				t.Errorf("SendSync = %v and the socket's context %v, want an open socket", err,
					s.Context().Err())
			}
			p.Resume()
			wantText(t, p, blocker)
			wantText(t, p, string(c.others[len(c.others)-1].Data))
			wantErr(t, "SendSync afterwards", s.SendSync(t.Context(), gateway.Text("next")), nil)
			wantText(t, p, "next")
		})
	}
}

// The error of a full queue names the bound that was met, and does not blame the client.
func TestQueueFullNamesItsBound(t *testing.T) {
	small := func(n int) []gateway.Message { return slicesRepeat(gateway.Text("x"), n) }
	for name, c := range map[string]struct {
		opts  gateway.Options
		fill  []gateway.Message
		last  gateway.Message
		names string
	}{
		"messages": {gateway.Options{Limits: gateway.Limits{QueueMessages: 3}}, small(2),
			gateway.Text("x"), "QueueMessages"},
		"bytes": {gateway.Options{}, nil, gateway.Text(strings.Repeat("x", 1<<20-50_000)),
			"QueueBytes"},
		"all together": {gateway.Options{MaxQueuedBytes: 150_000}, nil, gateway.Text(strings.Repeat("x",
			120_000)), "MaxQueuedBytes"},
		"all together, larger than it": {gateway.Options{MaxQueuedBytes: 150_000}, nil,
			gateway.Text(strings.Repeat("x", 200_000)), "MaxQueuedBytes"},
	} {
		bubble(t, name, func(t *testing.T) {
			c.opts.MessagesPerSecond = -1
			gw := gateway.New(&c.opts)
			s, p := open(t, gw, &recorder{})
			block(t, s, p)
			for _, m := range c.fill {
				wantErr(t, "Send", s.Send(t.Context(), m), nil)
			}
			err := s.Send(t.Context(), c.last)
			wantErr(t, "Send into a full queue", err, gateway.ErrQueueFull)
			if err != nil && (!strings.Contains(err.Error(), c.names) || strings.Contains(err.Error(),
				"slow")) {
				t.Errorf("Send = %q, want it to name %s and not to blame the client", err, c.names)
			}
			var ids []string
			if _, err := gw.All().OnRefused(func(id string, err error) {
				ids = append(ids, id)
				if !strings.Contains(err.Error(), c.names) {
					t.Errorf("OnRefused is told %q, want it to name %s", err, c.names)
				}
			}).Send(t.Context(), c.last); err != nil || len(ids) != 1 {
				t.Errorf("All().Send = %v and %d refused, want nil and 1", err, len(ids))
			}
		})
	}
}

func slicesRepeat[T any](v T, n int) (all []T) {
	for range n {
		all = append(all, v)
	}
	return all
}

// Many small messages that a policy may drop one by one are bounded by the memory that
// they hold, whatever QueueMessages says.
func TestManySmallMessagesAreBounded(t *testing.T) {
	for _, policy := range []gateway.QueuePolicy{gateway.QueueDropOldest, gateway.QueueDropNewest} {
		bubble(t, fmt.Sprint(policy), func(t *testing.T) {
			gw := withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: 200_000, OnQueueFull: policy})
			s, p := open(t, gw, &recorder{})
			block(t, s, p)
			for i := range 50_000 {
				m := gateway.Text("x")
				if i%2 == 0 {
					m.Key = fmt.Sprint("key", i)
				}
				wantErr(t, "Send", gw.Send(t.Context(), s.ID(), m), nil)
			}
			if n := gw.Stats().QueuedBytes; n > 2*200_000+64<<10 {
				t.Errorf("a queue of 200,000 bytes holds %d", n)
			}
			if n := gateway.QueueCap(s); n > 4_000 {
				t.Errorf("the queue has room for %d frames, want it bounded by their memory", n)
			}
			p.Resume()
		})
	}
}

// A sender from outside goes as fast as the client reads with SendWait, whatever the
// policy: nothing is refused or dropped, and the order stays.
func TestSendWait(t *testing.T) {
	for _, policy := range []gateway.QueuePolicy{gateway.QueueRefuse, gateway.QueueClose,
		gateway.QueueDropOldest, gateway.QueueDropNewest} {
		for _, size := range []int{10, 2_000, 600_000} {
			bubble(t, fmt.Sprint(policy, size), func(t *testing.T) {
				gw := withLimits(gateway.Limits{OnQueueFull: policy})
				s, p := open(t, gw, &recorder{})
				n := 400 // more than have room
				if size > 100_000 {
					n = 20
				}
				var sending sync.WaitGroup
				sending.Go(func() {
					for i := range n {
						wantErr(t, "SendWait", gw.SendWait(context.Background(), s.ID(),
							gateway.Text(pad(fmt.Sprint(i), size))), nil)
					}
				})
				for i := range n {
					wantText(t, p, pad(fmt.Sprint(i), size))
				}
				sending.Wait()
				synctest.Wait()
				if st := gw.Stats(); st.QueueFull != 0 || st.Lost["oldest"]+st.Lost["newest"] != 0 ||
					st.QueuedBytes != 0 {
					t.Errorf("%d refused, lost %v, %d bytes counted, want nothing", st.QueueFull, st.Lost,
						st.QueuedBytes)
				}
			})
		}
	}
}

// SendWait ends with its context, and then has queued nothing.
func TestSendWaitEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := withLimits(gateway.Limits{QueueMessages: 2, OnQueueFull: gateway.QueueDropOldest})
		s, p := open(t, gw, &recorder{})
		block(t, s, p)
		wantErr(t, "Send", s.Send(t.Context(), gateway.Text("waits")), nil)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		wantErr(t, "SendWait", s.SendWait(ctx, gateway.Text(pad("late", 50_000))), gateway.ErrTimeout)
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("SendWait has waited %v, want 3s", d)
		}
		wantErr(t, "SendWait of what is too large", s.SendWait(t.Context(),
			gateway.Text(strings.Repeat("x", 2<<20))), gateway.ErrTooLarge)
		p.Resume()
		wantText(t, p, blocker)
		wantText(t, p, "waits")
		wantErr(t, "SendWait", s.SendWait(t.Context(), gateway.Text("next")), nil)
		wantText(t, p, "next")
		s.Close()
		wantErr(t, "SendWait to a closing socket", s.SendWait(t.Context(), gateway.Text("x")),
			gateway.ErrClosed)
	})
}

// An echo loses nothing, whatever others send to the socket and whatever the policy.
func TestEchoUnderADropPolicy(t *testing.T) {
	for _, policy := range []gateway.QueuePolicy{gateway.QueueDropOldest, gateway.QueueDropNewest} {
		bubble(t, fmt.Sprint(policy), func(t *testing.T) {
			gw := withLimits(gateway.Limits{QueueMessages: 4, OnQueueFull: policy, WriteTimeout: time.Hour})
			gw.Handle("/", echo())
			p := serve(t, gw).Dial(t, "/")
			const n = 200
			p.Stall()
			go func() {
				for i := range n {
					p.Send(gateway.Text(pad(fmt.Sprint("echo ", i, " "), 3_000)))
				}
			}()
			for range 100 {
				synctest.Wait()
				if _, err := gw.All().Send(t.Context(), gateway.Text("flood")); err != nil {
					t.Error(err)
				}
			}
			p.Resume()
			for i := 0; i < n; {
				m := p.Receive()
				if string(m.Data) == "flood" {
					continue
				}
				if want := fmt.Sprint("echo ", i, " "); !strings.HasPrefix(string(m.Data), want) {
					t.Fatalf("received %.12q, want %q", m.Data, want)
				}
				i++
			}
		})
	}
}

// That the caller's own socket closes is nothing against a message to others.
func TestSendToOthersAfterOwnClose(t *testing.T) {
	derived := map[string]func(context.Context) context.Context{
		"event": func(ctx context.Context) context.Context { return ctx },
		"value": func(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, 1) },
		"timeout": func(ctx context.Context) context.Context {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			context.AfterFunc(ctx, cancel)
			return ctx
		},
	}
	for name, derive := range derived {
		bubble(t, name, func(t *testing.T) {
			gw := quiet()
			other := &recorder{}
			gw.Handle("/other", other)
			gw.Handle("/leaving", gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket,
				m gateway.Message) error {
				ctx = derive(ctx)
				wantErr(t, "CloseWith", s.CloseWith(4000, "bye"), nil)
				n, err := gw.All().Send(ctx, gateway.Text("one has left"))
				if n != 1 || err != nil {
					t.Errorf("All().Send with the context of a closing socket = %d, %v, want 1, nil", n, err)
				}
				wantErr(t, "Send to another", gw.Send(ctx, other.socket().ID(), gateway.Text("and you?")), nil)
				wantErr(t, "Send to itself", s.Send(ctx, gateway.Text("x")), gateway.ErrClosed)
				ended, cancel := context.WithCancel(context.Background())
				cancel()
				_, err = gw.All().Send(ended, gateway.Text("never"))
				wantErr(t, "All().Send with a context that was cancelled", err, gateway.ErrTimeout)
				return nil
			}})
			srv := serve(t, gw)
			stays := srv.Dial(t, "/other")
			leaves := srv.Dial(t, "/leaving")
			synctest.Wait()
			leaves.Send(gateway.Text("go"))
			wantText(t, stays, "one has left")
			wantText(t, stays, "and you?")
			wantClosed(t, leaves, 4000, "bye")
		})
	}
}
