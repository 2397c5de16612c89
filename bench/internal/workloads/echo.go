package workloads

import (
	"context"

	"github.com/wsgateway/gateway/bench/internal/load"
)

// echo is sockets that send and await their messages back.
func echo(sockets int, e load.Echo) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		conns, err := load.DialAll(ctx, t.target, sockets)
		if err != nil {
			return nil, err
		}
		defer load.CutAll(conns)
		traffic, err := load.StartEcho(ctx, conns, e)
		if err != nil {
			return nil, err
		}
		return t.watch(ctx, traffic)
	}
}

// mixed is many sockets of which a few talk.
func mixed(sockets, talkers int, e load.Echo) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		conns, err := load.DialAll(ctx, t.target, t.scale.of(sockets))
		if err != nil {
			return nil, err
		}
		defer load.CutAll(conns)
		if err := t.rest(ctx, len(conns)); err != nil {
			return nil, err
		}
		traffic, err := load.StartEcho(ctx, conns[:t.scale.of(talkers)], e)
		if err != nil {
			return nil, err
		}
		return t.watch(ctx, traffic)
	}
}

// churn is clients that connect and close.
func churn(clients int) func(context.Context, *trial) (Sample, error) {
	return func(ctx context.Context, t *trial) (Sample, error) {
		return t.watch(ctx, load.StartChurn(ctx, t.target, clients))
	}
}
