package gateway

import (
	"context"
	"iter"
	"slices"
)

// Send puts a message into the queue of the socket with the id. Nil means that it is in
// the queue, in order. Send does not wait for the client. It fails with ErrInvalid,
// ErrNotFound, ErrClosed, ErrTooLarge, ErrQueueFull, or ErrTimeout if ctx has ended. With
// the context of one of the socket's own events it waits while the queue is full, see
// [Socket.Send].
func (h *Handler) Send(ctx context.Context, id string, m Message) error {
	if err := checkMessage(&m); err != nil {
		return err
	}
	s, err := h.find(id)
	if err != nil {
		_, err = h.foreign(ctx, Op{Kind: OpSend, Socket: id, Message: m}, err)
		return err
	}
	return s.send(ctx, &m)
}

// SendSync is Send that waits for room in the queue and then until the message
// is handed to the operating system, or ctx ends (ErrTimeout; the message may
// still be sent).
func (h *Handler) SendSync(ctx context.Context, id string, m Message) error {
	if err := checkMessage(&m); err != nil {
		return err
	}
	s, err := h.find(id)
	if err != nil {
		_, err = h.foreign(ctx, Op{Kind: OpSendSync, Socket: id, Message: m}, err)
		return err
	}
	return s.sendSync(ctx, &m)
}

// SendWait is Send that waits while the queue has no room, until ctx ends (ErrTimeout):
// for a sender outside of the socket's events that is to go no faster than the client
// reads. A policy that drops messages drops none for it.
func (h *Handler) SendWait(ctx context.Context, id string, m Message) error {
	if err := checkMessage(&m); err != nil {
		return err
	}
	s, err := h.find(id)
	if err != nil {
		_, err = h.foreign(ctx, Op{Kind: OpSendWait, Socket: id, Message: m}, err)
		return err
	}
	return s.sendWait(ctx, &m)
}

// Close begins to close the socket with 1000, and returns: what was accepted for
// it is written first, then the close frame. It fails with ErrInvalid,
// ErrNotFound or, if the socket is closing already, ErrClosed.
func (h *Handler) Close(ctx context.Context, id string) error {
	return h.CloseWith(ctx, id, closeNormal, "")
}

// CloseWith is Close with a code and a reason (RFC 6455, section 7.4). Code 0
// means 1000; an empty reason becomes the cause, "operation". A code or reason
// that cannot be sent fails with ErrInvalid.
func (h *Handler) CloseWith(ctx context.Context, id string, code int, reason string) error {
	if _, err := checkClose(code, reason); err != nil {
		return err
	}
	s, err := h.find(id)
	if err != nil {
		_, err = h.foreign(ctx, Op{Kind: OpClose, Socket: id, Code: code, Reason: reason}, err)
		return err
	}
	return s.CloseWith(code, reason)
}

// CloseAll begins to close every open socket with 1000, in a cluster those of every
// node, and returns how many. On one node it cannot fail; in a cluster the error names
// the nodes that did not answer, and may not have closed theirs.
func (h *Handler) CloseAll(ctx context.Context) (int, error) {
	n := 0
	for s := range h.hub.all() {
		if s.close(Closed{Cause: CauseOperation, Code: closeNormal}) {
			n++
		}
	}
	return h.countElsewhere(ctx, n, Op{Kind: OpGroupClose, All: true, Code: closeNormal})
}

// Info describes the socket with the id; its secret headers are redacted. A
// closing socket has the state close until its close event has returned; after
// that, and for an id that nobody has, the error is ErrNotFound.
func (h *Handler) Info(ctx context.Context, id string) (Info, error) {
	s, err := h.find(id)
	if err == nil {
		return s.Info().redacted(), nil
	}
	r, err := h.foreign(ctx, Op{Kind: OpInfo, Socket: id}, err)
	if err != nil || r.Info == nil {
		return Info{}, err
	}
	return *r.Info, nil
}

// List returns the ids of the open sockets, in a cluster those of every node, in
// lexical order. On one node it cannot fail; in a cluster the error names the nodes
// that did not answer, and the ids are those of the others.
func (h *Handler) List(ctx context.Context) (ids []string, err error) {
	open, _ := h.hub.count()
	ids = make([]string, 0, open)
	for id, failed := range h.ListSeq(ctx) {
		if failed != nil {
			err = failed
			break
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, err
}

// ListSeq yields the ids that List returns, in no order and without holding all of them.
// It yields an error last, with an empty id; on one node there is none.
func (h *Handler) ListSeq(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for s := range h.hub.all() {
			if !s.isClosing() && !yield(s.id, nil) {
				return
			}
		}
		h.listElsewhere(ctx, yield)
	}
}

// find returns the socket of this node with the id.
func (h *Handler) find(id string) (*Socket, error) {
	if id == "" {
		return nil, invalidf("the socket id is empty")
	}
	if s := h.hub.get(id); s != nil {
		return s, nil
	}
	return nil, ErrNotFound
}
