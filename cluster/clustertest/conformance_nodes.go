package clustertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/cluster"
)

// socketOf is the id of the only socket of a node of the suite.
func socketOf(name string) string { return name + strings.Repeat("s", 26) }

// beat is the heartbeat of the suite's nodes. Their leases are so long that none seems to be
// dead because the machine is busy.
const beat = 3 * time.Second

// join makes a node that stands for a gateway with one socket, which answers for itself.
func join(t *testing.T, tr cluster.Transport, name string) (*cluster.Node, error) {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	n, err := cluster.Join(ctx, tr, &cluster.Options{Name: name, Heartbeat: beat,
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Patience)
		defer cancel()
		n.Close(ctx)
	})
	n.Bind(func(ctx context.Context, op gateway.Op) (gateway.Result, error) {
		switch {
		case op.Kind == gateway.OpStatus:
			return gateway.Result{N: 1}, nil
		case op.Kind == gateway.OpList:
			return gateway.Result{IDs: []string{socketOf(name)}}, nil
		case op.Socket != "" && op.Socket != socketOf(name):
			return gateway.Result{}, gateway.ErrNotFound
		}
		return gateway.Result{N: len(op.Message.Data)}, nil
	})
	return n, nil
}

// waitNodes waits until the node knows that many, itself among them.
func waitNodes(t *testing.T, n *cluster.Node, want int) {
	t.Helper()
	for start := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		up := 0
		all, err := n.Nodes(context.Background())
		for _, node := range all {
			if node.State == gateway.NodeUp {
				up++
			}
		}
		if up == want {
			return
		}
		if time.Since(start) > Patience {
			t.Fatalf("%s does not know %d nodes: %s", n.Node(), want, describe(all, err))
		}
	}
}

// crossTalk has every node call every other, all at the same time.
func crossTalk(all []*cluster.Node) error {
	var mu sync.Mutex
	var failed []error
	var callers sync.WaitGroup
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			callers.Go(func() {
				for size := range 200 {
					err := call(ctx, from, to.Node(), size)
					if err != nil {
						mu.Lock()
						failed = append(failed, err)
						mu.Unlock()
						return
					}
				}
			})
		}
		callers.Go(func() {
			ids := 0
			err := from.DoAll(ctx, gateway.Op{Kind: gateway.OpList}, func(r gateway.Result) bool {
				ids += len(r.IDs)
				return true
			})
			if err != nil || ids != len(all)-1 {
				mu.Lock()
				defer mu.Unlock()
				failed = append(failed, fmt.Errorf("the list of the others has %d ids, %v; want %d", ids, err,
					len(all)-1))
			}
		})
	}
	callers.Wait()
	return errors.Join(failed...)
}

func call(ctx context.Context, from *cluster.Node, to string, size int) error {
	op := gateway.Op{Kind: gateway.OpSend, Socket: socketOf(to), Message: gateway.Binary(make([]byte,
		size))}
	if r, err := from.Do(ctx, op); err != nil || r.N != size {
		return fmt.Errorf("%s asks %s: %d, %v; want %d", from.Node(), to, r.N, err, size)
	}
	op.Socket = to + strings.Repeat("t", 26)
	if _, err := from.Do(ctx, op); !errors.Is(err, gateway.ErrNotFound) {
		return fmt.Errorf("%s asks %s for a socket that is not there: %v; want not_found", from.Node(),
			to, err)
	}
	return nil
}
