package clustertest_test

import (
	"testing"

	"github.com/wsgateway/gateway/cluster"
	"github.com/wsgateway/gateway/cluster/clustertest"
	"github.com/wsgateway/gateway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestNetwork(t *testing.T) {
	clustertest.TestTransport(t, func(*testing.T) func() cluster.Transport {
		w := clustertest.NewNetwork(1)
		return func() cluster.Transport { return w.NewTransport() }
	})
}
