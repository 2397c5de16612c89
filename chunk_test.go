package gateway_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

// Messages that wait behind each other share buffers, whatever their sizes and kinds:
// each arrives whole, and in its place.
func TestWaitingMessagesOfAllKinds(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			gw := withLimits(gateway.Limits{QueueMessages: -1, QueueBytes: -1})
			s, p := open(t, gw, &recorder{})
			wantErr(t, "Join", gw.Group("room").Join(t.Context(), s.ID()), nil)
			block(t, s, p)
			want := []string{blocker}
			for i := range 300 {
				m := gateway.Text(fmt.Sprint(i, strings.Repeat("x", rnd.IntN(1<<rnd.IntN(16)))))
				want = append(want, string(m.Data))
				var err error
				switch rnd.IntN(4) {
				case 0:
					_, err = gw.Group("room").Send(t.Context(), m)
				case 1:
					m.Key = fmt.Sprint(i)
					err = s.Send(t.Context(), m)
				default:
					err = gw.Send(t.Context(), s.ID(), m)
				}
				wantErr(t, "Send", err, nil)
			}
			p.Resume()
			for _, text := range want {
				wantText(t, p, text)
			}
			if st := gw.Stats(); st.MessagesOut != uint64(len(want)) ||
				len(st.Lost) > 0 && st.Lost["closed"] != 0 {
				t.Errorf("Stats: %d out, lost %v, want %d and none", st.MessagesOut, st.Lost, len(want))
			}
		})
	}
}

// A client that never stops being behind costs no more memory the longer that lasts,
// and what waits when it goes is counted message by message.
func TestQueueThatIsNeverEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		gw := withLimits(gateway.Limits{QueueMessages: 5, QueueBytes: 1 << 20})
		gw.Handle("/", r)
		p := rawDial(t, serve(t, gw), "/", "") // reads only when asked to
		synctest.Wait()
		s := r.socket()
		everyone := func(text string) {
			_, err := gw.All().Send(t.Context(), gateway.Text(text))
			wantErr(t, "Send", err, nil)
		}
		everyone(blocker)
		everyone(blocker)
		for range 200 {
			everyone(blocker)
			p.want(0x81, blocker)
		}
		if n := gateway.QueueCap(s); n > 8 {
			t.Errorf("the queue has room for %d frames after 200 of which at most 3 waited", n)
		}
		for range 3 { // the last of them share a buffer
			wantErr(t, "Send", gw.Send(t.Context(), s.ID(), gateway.Text("a")), nil)
		}
		p.conn.Close()
		synctest.Wait()
		if st := gw.Stats(); st.Lost["closed"] != 5 && st.Lost["closed"] != 4 { // one may have begun
			t.Errorf("Stats().Lost = %v, want 5 when the client went", st.Lost)
		}
	})
}
