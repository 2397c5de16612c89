package gateway_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// Where a write can only block, a few workers write for all. Clients that do not
// read hold one worker each, and nobody else up.
func TestManyStalledWhereWritesBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const stalled, healthy = 300, 50
		gw := withLimits(gateway.Limits{WriteTimeout: time.Hour})
		gw.Handle("/", echo())
		srv := serve(t, gw)
		dial := func(n int) (peers []*gatewaytest.Peer) {
			for range n {
				peers = append(peers, srv.Dial(t, "/"))
			}
			return peers
		}
		slow := dial(stalled)
		for _, p := range slow {
			p.Stall()
		}
		fast := dial(healthy)
		start := time.Now()
		if n, err := gw.All().Send(t.Context(), gateway.Text(blocker)); n != stalled+healthy ||
			err != nil {
			t.Fatalf("Send to all = %d, %v, want %d", n, err, stalled+healthy)
		}
		for i := range 3 {
			text := fmt.Sprint("behind ", i)
			if n, err := gw.All().Send(t.Context(), gateway.Text(text)); n != stalled+healthy || err != nil {
				t.Fatalf("Send to all = %d, %v, want %d", n, err, stalled+healthy)
			}
		}
		for _, p := range append(fast, slow...) {
			p.Resume() // changes nothing for those that are not stalled
			wantText(t, p, blocker)
			for i := range 3 {
				wantText(t, p, fmt.Sprint("behind ", i))
			}
			if p == fast[healthy-1] {
				if took := time.Since(start); took > 50*time.Millisecond {
					t.Errorf("those who read have all messages after %v, want them not to wait for the others",
						took)
				}
			}
		}
	})
}
