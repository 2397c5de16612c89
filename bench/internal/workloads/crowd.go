package workloads

import (
	"context"
	"time"

	"github.com/wsgateway/gateway/bench/internal/serve"
)

const crowdNote = "the CPU includes the clients, who compare and count"

// crowds are how many sockets in memory a server has.
var crowds = map[string]int{
	"gateway-10": 10, "gateway-100": 100, "gateway-1k": 1_000, "gateway-10k": 10_000,
	"gateway-100k": 100_000,
	"map-1k":       1_000, "map-10k": 10_000, "map-100k": 100_000,
}

// crowd opens the sockets and returns their number.
func (t *trial) crowd(ctx context.Context) (int, error) {
	n := t.scale.of(crowds[t.name])
	return n, t.Crowd(ctx, serve.Crowd{Do: serve.CrowdOpen, N: n})
}

// repeat measures what a crowd does again and again; each time is so many units.
func (t *trial) repeat(ctx context.Context, w serve.Crowd, units int) (Sample, error) {
	if err := t.Crowd(ctx, w); err != nil { // warm up
		return nil, err
	}
	m, err := t.begin(ctx, 0)
	if err != nil {
		return nil, err
	}
	count := 0
	for count == 0 || time.Since(m.at) < t.scale.Time {
		if err := t.Crowd(ctx, w); err != nil {
			return nil, err
		}
		count += units
	}
	s, err := t.end(ctx, m, int64(count))
	if err != nil {
		return nil, err
	}
	return s, t.Crowd(ctx, serve.Crowd{Do: serve.CrowdCheck})
}

// registered is sends to a thousand of many sockets, always the same.
func registered(ctx context.Context, t *trial) (Sample, error) {
	if _, err := t.crowd(ctx); err != nil {
		return nil, err
	}
	return t.sends(ctx, t.scale.of(crowds["gateway-1k"]))
}

// spread is sends to all of many sockets.
func spread(ctx context.Context, t *trial) (Sample, error) {
	n, err := t.crowd(ctx)
	if err != nil {
		return nil, err
	}
	return t.sends(ctx, n)
}

func (t *trial) sends(ctx context.Context, to int) (Sample, error) {
	// As many at once as the fewest sockets are: one each, however many there
	// are. Several to one socket would be written together.
	atOnce := t.scale.of(crowds["gateway-1k"])
	n := 100 * atOnce
	return t.repeat(ctx, serve.Crowd{Do: serve.CrowdSend, N: n, Of: atOnce, To: to}, n)
}

// groupSends is messages to a group with everyone in it.
func groupSends(ctx context.Context, t *trial) (Sample, error) {
	members, err := t.crowd(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.Crowd(ctx, serve.Crowd{Do: serve.CrowdGroup, N: 1, Of: members}); err != nil {
		return nil, err
	}
	n := max(t.scale.of(50_000)/members, 1)
	return t.repeat(ctx, serve.Crowd{Do: serve.CrowdTell, N: n, Of: 1}, n*members)
}

// rejoins is sockets that leave a group with everyone in it, and join again.
func rejoins(ctx context.Context, t *trial) (Sample, error) {
	members, err := t.crowd(ctx)
	if err != nil {
		return nil, err
	}
	if err := t.Crowd(ctx, serve.Crowd{Do: serve.CrowdGroup, N: 1, Of: members}); err != nil {
		return nil, err
	}
	n := t.scale.of(50_000)
	return t.repeat(ctx, serve.Crowd{Do: serve.CrowdRejoin, N: n}, n)
}

// rooms is messages to one of many small groups.
func rooms(ctx context.Context, t *trial) (Sample, error) {
	const size, atOnce = 10, 20
	n, err := t.crowd(ctx)
	if err != nil {
		return nil, err
	}
	before, err := t.Memory(ctx, true)
	if err != nil {
		return nil, err
	}
	if err := t.Crowd(ctx, serve.Crowd{Do: serve.CrowdGroup, N: n, Of: size}); err != nil {
		return nil, err
	}
	after, err := t.Memory(ctx, true)
	if err != nil {
		return nil, err
	}
	calls := t.scale.of(5_000/atOnce) * atOnce
	s, err := t.repeat(ctx, serve.Crowd{Do: serve.CrowdTell, N: calls, Of: atOnce}, calls*size)
	if err != nil {
		return nil, err
	}
	s[Heap] = float64(after.Heap-before.Heap) / float64(n*size)
	return s, nil
}
