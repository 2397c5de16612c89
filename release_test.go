package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wsgateway/gateway"
)

// Messages that are released come and go unharmed, whatever is released twice, kept
// otherwise, or dropped by the gateway.
func TestRelease(t *testing.T) {
	var before gateway.Message // of another socket's event; released long ago
	gw := gateway.New(&gateway.Options{
		Compression: true, Logger: slog.New(slog.DiscardHandler),
		Limits: gateway.Limits{ReadLimit: 2 << 20, SendLimit: 2 << 20, QueueBytes: 8 << 20},
	})
	gw.Handle("/", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			defer m.Release()
			before.Release()
			before = m
			return s.Send(ctx, m)
		},
	})
	srv := serveTCP(t, gw, false)
	plain, compressed := dialTCP(t, srv), dialTCP(t, srv)
	plain.upgrade("/")
	compressed.upgrade("/", wantDeflate, "")
	for i, size := range []int{10, 20_000, 70_000, 20_000, 300_000, 1 << 20, 1<<20 + 1, 70_000,
		16 << 10, 511, 512, 513, 1 << 10, 1000, 5000, 600, 10, 600} {
		text := strings.Repeat(fmt.Sprint(i), size)[:size]
		go plain.conn.Write(masked(0x81, text))
		plain.want(0x81, text)
		if size > 20_000 {
			continue // what comes out of it is not recycled
		}
		go compressed.conn.Write(masked(0xc1, deflated(text)))
		if first, got := compressed.read(); inflated(first, got) != text {
			t.Errorf("%d deflated bytes become %.20q of %d", size, inflated(first, got), len(got))
		}
	}
}

// A message that nobody releases is the endpoint's for ever.
func TestMessageThatIsNotReleased(t *testing.T) {
	var kept []gateway.Message
	gw := quiet()
	gw.Handle("/", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			kept = append(kept, m)
			return s.Send(ctx, gateway.Text("kept"))
		},
	})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	for i := range byte(8) {
		p.write(masked(0x82, string(bytes.Repeat([]byte{i}, 60_000))))
		p.want(0x81, "kept")
	}
	for i, m := range kept {
		if want := bytes.Repeat([]byte{byte(i)}, 60_000); !bytes.Equal(m.Data, want) {
			t.Errorf("message %d has changed after others came", i)
		}
	}
}

// A trace shows messages as they came, whatever their endpoint does to them: it may change
// them, and what it gives back is another message's soon.
func TestTraceOfWhatIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gw := quiet()
		gw.Handle("/", gateway.Callbacks{
			OnData: func(_ context.Context, _ *gateway.Socket, m gateway.Message) error {
				copy(m.Data, "changed")
				m.Release()
				return nil
			},
		})
		p := serve(t, gw).Dial(t, "/")
		tr := follow(t.Context(), gw, gateway.TraceOptions{Route: "/", Body: 4 << 10})
		for _, text := range []string{"as it came", strings.Repeat("as it came", 100)} {
			p.Send(gateway.Text(text))
			tr.want(t, fmt.Sprintf("data of / %d %q 0s <nil> ", len(text), text))
		}
	})
}
