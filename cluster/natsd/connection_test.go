package natsd_test

import (
	"errors"
	"strings"
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/nats"
)

// Who closes a connection of their own under a node has a node without a cluster: told so,
// its own sockets work, and it ends in order.
func TestOwnConnectionClosedUnderTheNode(t *testing.T) {
	url := clients(t).ClientURL()
	nc, err := natsgo.Connect(url, natsgo.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan error, 1)
	o := options(func(o *cluster.Options) {
		o.OnState = func(up bool, cause error) {
			if !up {
				told <- cause
			}
		}
	})
	o.Conn = nc
	node, err := nats.Join(ctx, "", o)
	a := serve(t, node, err)
	b := joinTCP(t, url)
	mine, p := a.open(t)
	theirs, _ := b.open(t)
	eventually(t, "both know each other", a.knows(2))
	wantErr(t, "Send", a.Send(ctx, theirs, gateway.Text("x")), nil)
	nc.Close()
	if cause := <-told; !errors.Is(cause, cluster.ErrDown) ||
		!strings.Contains(cause.Error(), "closed") {
		t.Errorf("OnState was told of %v, want ErrDown and that the connection was closed", cause)
	}
	wantErr(t, "Send to a foreign socket", a.Send(ctx, theirs, gateway.Text("x")),
		gateway.ErrUnreachable)
	wantErr(t, "Send to an own socket", a.Send(ctx, mine, gateway.Text("own")), nil)
	if got := string(p.Receive().Data); got != "own" {
		t.Errorf("Receive() = %s, want own", got)
	}
	// The server may see the end of the connection a moment later.
	eventually(t, "the other node knows that nobody listens", func() bool {
		return errors.Is(b.Send(ctx, mine, gateway.Text("x")), gateway.ErrUnreachable)
	})
	wantErr(t, "Shutdown", a.Shutdown(ctx), nil)
	for _, conn := range []*natsgo.Conn{nc, {}} {
		_, err := nats.Join(ctx, "", &nats.Options{Conn: conn})
		if err == nil || !strings.Contains(err.Error(), "Options.Conn is not connected") {
			t.Errorf("Join with a connection that is closed = %v, want an error that says so", err)
		}
	}
}
