package natsd_test

import (
	"testing"

	natsgo "github.com/nats-io/nats.go"

	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/clustertest"
	"github.com/wsgateway/gateway/cluster/nats"
)

func TestTransportOverTCP(t *testing.T) {
	clustertest.TestTransport(t, func(t *testing.T) func() cluster.Transport {
		url := clients(t).ClientURL()
		return func() cluster.Transport { return transport(t, url, nil) }
	})
}

// One connection of the program's own serves several nodes, and stays open.
func TestTransportOnOneConnection(t *testing.T) {
	clustertest.TestTransport(t, func(t *testing.T) func() cluster.Transport {
		nc, err := natsgo.Connect(clients(t).ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if !nc.IsConnected() {
				t.Error("the program's connection was closed")
			}
			if n := nc.NumSubscriptions(); n != 0 {
				t.Errorf("%d subscriptions are left on the program's connection, want none", n)
			}
			nc.Close()
		})
		return func() cluster.Transport { return transport(t, "", &nats.Options{Conn: nc}) }
	})
}

func transport(t testing.TB, url string, o *nats.Options) cluster.Transport {
	t.Helper()
	tr, err := nats.NewTransport(url, o)
	if err != nil {
		t.Fatalf("NewTransport: %v", err)
	}
	return tr
}
