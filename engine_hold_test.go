package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
)

// Messages to a large group that come while the engine holds the gateway back go out
// together: one write for each client in place of one for each message.
func TestHeldMessagesAreWrittenTogether(t *testing.T) {
	const members, messages = 600, 20 // more than one part of a fan-out
	w := &wire{name: "aaaaaaaaaa", all: map[string]*wire{}}
	gw := gateway.New(&gateway.Options{
		Engine: w, Logger: slog.New(slog.DiscardHandler), MaxSocketsPerAddr: -1, Limits: unlimited,
		Authorize: func(*http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{Groups: []string{"crowd"}}, nil
		},
	})
	opened := make(chan struct{}, members)
	gw.Handle("/", gateway.Callbacks{OnOpen: func(context.Context, *gateway.Socket) error {
		opened <- struct{}{}
		return nil
	}})
	srv := serveTCP(t, gw, false)
	var peers []*rawPeer
	for range members {
		p := dialTCP(t, srv)
		p.upgrade("/")
		<-opened
		peers = append(peers, p)
	}
	ctx := context.Background()
	do := func(op gateway.Op, want int) {
		t.Helper()
		if r, err := w.local(ctx, op); r.N != want || err != nil {
			t.Fatalf("operation %d = %d, %v, want %d", op.Kind, r.N, err, want)
		}
	}
	send := gateway.Op{Kind: gateway.OpGroupSend, Group: "crowd", Message: gateway.Text("x")}
	do(gateway.Op{Kind: gateway.OpHold}, 0)
	for range messages {
		do(send, members)
	}
	do(gateway.Op{Kind: gateway.OpGo}, 0)
	all := []byte(strings.Repeat("\x81\x01x", messages))
	for i, p := range peers {
		b := make([]byte, 2*len(all))
		if n, err := p.conn.Read(b); err != nil || !bytes.Equal(b[:n], all) {
			t.Fatalf("client %d reads %q, %v, want all %d messages at once", i, b[:n], err, messages)
		}
	}
	do(send, members) // nothing is held any more
	for _, p := range peers {
		p.want(0x81, "x")
	}
}

// A trace follows the sockets of its own node, and says so of others.
func TestTraceOfAForeignSocket(t *testing.T) {
	bubble(t, "trace", func(t *testing.T) {
		nodes := wiredNodes(t, "aaaaaaaaaa", "bbbbbbbb22")
		id, _ := nodes[1].open(t)
		for r, err := range nodes[0].Trace(t.Context(), id) {
			if !errors.Is(err, gateway.ErrUnsupported) || !strings.Contains(err.Error(), "bbbbbbbb22") {
				t.Errorf("Trace yields %+v, %v, want an error of type not_implemented that names the node", r,
					err)
			}
		}
		for _, err := range nodes[0].Trace(t.Context(), "bbbbbbbb22") {
			wantErr(t, "Trace of what is no id", err, gateway.ErrNotFound)
		}
	})
}

// What an engine does not call the gateway does itself, and nothing twice.
func TestGroupSendDoesItsOwnPartOnce(t *testing.T) {
	for _, calls := range []bool{false, true} {
		bubble(t, "Send", func(t *testing.T) {
			nodes := wiredNodes(t, "aaaaaaaaaa", "bbbbbbbb22")
			nodes[0].wire.meanwhile = calls
			_, p := nodes[0].open(t)
			_, q := nodes[1].open(t)
			n, err := nodes[0].Group("lobby").Send(t.Context(), gateway.Text("x"))
			if n != 2 || err != nil {
				t.Errorf("Send = %d, %v, want 2", n, err)
			}
			wantText(t, p, "x")
			wantText(t, q, "x")
			if !p.Empty() || !q.Empty() {
				t.Error("the message came twice")
			}
		})
	}
}
