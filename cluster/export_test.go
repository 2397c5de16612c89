package cluster

import (
	"context"
	"time"
)

// SetMaxFrame changes the size of a node's frames, when nothing is under way.
func SetMaxFrame(n *Node, size int) { n.maxFrame = size }

// JoinAs is Join of a node that reads these versions of the codec.
func JoinAs(ctx context.Context, t Transport, opts *Options, oldest, newest byte) (*Node, error) {
	o, err := opts.check()
	if err != nil {
		return nil, err
	}
	return join(ctx, t, o, oldest, newest)
}

// Overslept has the node look at the leases as if it had not run for a while.
func Overslept(n *Node, late time.Duration) { n.checkLeases(time.Now(), late) }
