package cluster

import (
	"context"
	"errors"
)

// What a [Transport] reports. Every other error of Send means that nobody knows whether
// the frame arrived.
var (
	// ErrDown means that the transport has no connection: the frame was not sent.
	ErrDown = errors.New("cluster: the transport is not connected")
	// ErrFrameSize means that the frame is above MaxFrame: it was not sent.
	ErrFrameSize = errors.New("cluster: the frame is larger than the transport carries")
	// ErrNameTaken is returned by Start: another node has the name.
	ErrNameTaken = errors.New("cluster: another node has this name")
)

// A Transport moves opaque frames between nodes. Node names are 10 characters of a to z
// and 2 to 7. Its methods are called from many goroutines. Package clustertest has the
// tests that every transport must pass, and docs/cluster.md says how to write one.
type Transport interface {
	// Start connects under the name and returns when frames can come and go. From then
	// on, and perhaps before, it calls h. It refuses a name that another node has with
	// ErrNameTaken. If ctx ends first, or Start fails, nothing of it is left running.
	Start(ctx context.Context, name string, h Handler) error

	// Send hands over a frame to one node, and does not wait until it arrives. Frames
	// to one node that are handed over one after the other arrive in that order, if they
	// do. If it turns out that nobody has the name, the number comes back to
	// Handler.Undelivered. The frame is the caller's again when Send has returned.
	Send(to string, number uint64, frame []byte) error

	// Beat hands over a small frame to every other node. It overtakes frames that wait
	// at the receiver: a node that has much to do is not a dead one.
	Beat(frame []byte) error

	// MaxFrame returns the size in bytes of the largest frame, once Start has returned.
	MaxFrame() int

	// Close sends what was handed over, as far as ctx allows, and disconnects. When it
	// has returned, no method of the Handler runs or will be called.
	Close(ctx context.Context) error
}

// A Handler takes what a [Transport] receives. Its methods do not wait for anything that
// comes from the transport. The frames are theirs only until they return.
type Handler interface {
	// Frame takes a frame of Send: one at a time, in the order of each sender.
	Frame(frame []byte)

	// Beat takes a frame of Beat, one at a time. It may run beside Frame. The node's own
	// may come, too.
	Beat(frame []byte)

	// Undelivered says that the frame with this number certainly did not arrive, since
	// nobody has the name now. It may run beside the others.
	Undelivered(to string, number uint64)

	// State says that the connection was lost, with the cause, or is there again. Until
	// the first call it is there.
	State(up bool, cause error)
}
