package gateway

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"
)

// checkMessage finds what no socket takes.
func checkMessage(m Message) error {
	switch m.Type {
	case MessageText:
		if !utf8.Valid(m.Data) {
			return invalidf("a text message must be UTF-8; send other bytes with Binary")
		}
	case MessageBinary:
	default:
		return invalidf("a message is made with Text, Binary or JSON; its type is %d", m.Type)
	}
	return nil
}

// encode turns a checked message into a frame for this socket.
func (s *Socket) encode(m Message) (*frame, error) {
	if err := s.checkSize(m); err != nil {
		return nil, err
	}
	if s.deflates(m) {
		return newFrame(dataByte(m.Type, true), deflate(m.Data), m.Key), nil
	}
	return newFrame(dataByte(m.Type, false), m.Data, m.Key), nil
}

func (s *Socket) checkSize(m Message) error {
	if limit := s.route.lim.SendLimit; limit >= 0 && int64(len(m.Data)) > limit {
		return NewError(ErrTooLarge, "the message has %d bytes, the limit is %d", len(m.Data), limit)
	}
	return nil
}

// deflates reports whether the message is compressed for this socket.
func (s *Socket) deflates(m Message) bool {
	return s.deflate && len(m.Data) >= deflateThreshold
}

// joinSize is up to how many bytes of payload a message is copied under the outbox's
// lock.
const joinSize = 1 << 10

// joins reports whether the message can share a buffer with others.
func (s *Socket) joins(m Message) bool {
	return m.Key == "" && len(m.Data) <= joinSize && s.checkSize(m) == nil && !s.deflates(m)
}

// send is Send after checkMessage.
func (s *Socket) send(ctx context.Context, m Message) error {
	if ctx.Err() != nil {
		return s.closedError(timeout(ctx))
	}
	own := s.ownContext(ctx)
	if !own && s.joins(m) && s.out.join(dataByte(m.Type, false), m.Data) {
		return s.sent(m, nil)
	}
	f, err := s.encode(m)
	if err != nil {
		return err
	}
	if own {
		err = s.out.sendOwn(ctx, f)
	} else {
		err = s.out.put(f)
	}
	return s.sent(m, err)
}

func (s *Socket) sendSync(ctx context.Context, m Message) error {
	f, err := s.encode(m)
	if err != nil {
		return err
	}
	queued, err := s.out.putSync(ctx, f)
	if queued {
		s.sent(m, nil)
	}
	return s.closedError(err)
}

// sent counts what was accepted.
func (s *Socket) sent(m Message, err error) error {
	if err != nil {
		return s.closedError(err)
	}
	s.shard.messagesOut.Add(1)
	s.shard.bytesOut.Add(uint64(len(m.Data)))
	if s.route.lim.IdleTimeout > 0 {
		s.lastMsg.Store(s.h.since(time.Now()))
	}
	return nil
}

// closedError turns the end of the socket's own context, under which a send
// waited, into what it means.
func (s *Socket) closedError(err error) error {
	if errors.Is(err, ErrTimeout) && s.isClosing() {
		return ErrClosed
	}
	return err
}

// refused is told of every message that the outbox refused.
func (s *Socket) refused(err error) {
	if err != ErrQueueFull {
		return
	}
	s.h.stats.queueFull.Add(1)
	if s.route.lim.OnQueueFull == QueueClose {
		s.beginClose(Closed{Cause: CauseSlowConsumer, Code: closePolicy})
	}
}
