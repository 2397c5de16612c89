package cluster_test

import (
	"testing"
	"testing/synctest"
	"time"

	"log/slog"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/clustertest"
)

// While nodes are exchanged one by one, old and new ones speak the version that both
// read; two new ones speak the new one. What nobody can read is dropped and counted.
func TestRollingUpgrade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := clustertest.NewNetwork(1)
		versions := map[string]byte{}
		w.Tap(func(from, to string, frame []byte) { versions[from+to] = frame[0] })
		as := func(name string, oldest, newest byte) *member {
			opts := &cluster.Options{Name: name, Logger: slog.New(slog.DiscardHandler)}
			node, err := cluster.JoinAs(ctx, w.NewTransport(), opts, oldest, newest)
			if err != nil {
				t.Fatal(err)
			}
			return serve(t, node)
		}
		older := as("olderolder", 1, 1)
		newer := as("newernewer", 1, 2)
		newest := as("newestnode", 2, 3)
		again := as("newerthird", 1, 2)
		time.Sleep(2 * time.Second)
		nodes := []*member{older, newer, newest, again}
		for i, to := range nodes {
			id, p := to.open(t, "room")
			for k, from := range nodes {
				err := from.Send(ctx, id, gateway.Text(numbered(k)))
				if i+k == 2 && i != k { // the oldest and the newest have no version in common
					wantErr(t, "Send between versions that are too far apart", err, gateway.ErrUnreachable)
					continue
				}
				wantErr(t, "Send", err, nil)
				wantText(t, p, numbered(k))
			}
		}
		if s := older.states(t)[newest.name()]; s != gateway.NodeLost {
			t.Errorf("to the oldest node the newest is %q, want lost", s)
		}
		n, err := newer.Group("room").Send(ctx, gateway.Text("all"))
		wantN(t, "Send to the group", n, err, 4)
		for pair, want := range map[string]byte{
			"olderoldernewernewer": 1, "newernewerolderolder": 1, "newernewernewerthird": 2,
			"newestnodenewernewer": 2, "newernewernewestnode": 2,
		} {
			if versions[pair] != want {
				t.Errorf("%s to %s speaks version %d, want %d", pair[:10], pair[10:], versions[pair], want)
			}
		}
		if older.node.Stats().Dropped["version"] == 0 {
			t.Error("the oldest node counts nothing of a version that it does not read")
		}
		synctest.Wait()
	})
}
