package gateway

import (
	"context"
	"errors"
	"time"
	"unicode/utf8"

	"github.com/wsgateway/gateway/internal/frameq"
	"github.com/wsgateway/gateway/internal/ws"
)

// checkMessage finds what no socket takes.
func checkMessage(m *Message) error {
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

// dataByte is the first byte of the only frame of a message.
func dataByte(t MessageType, deflated bool) byte {
	b := byte(ws.Fin | ws.OpText)
	if t == MessageBinary {
		b = ws.Fin | ws.OpBinary
	}
	if deflated {
		b |= ws.Rsv1
	}
	return b
}

// encode turns a checked message into a frame for this socket.
func (s *Socket) encode(m *Message) (f *frameq.Frame) {
	if !s.deflates(m) {
		return frameq.New(dataByte(m.Type, false), m.Data, m.Key)
	}
	ws.Deflate(m.Data, func(p []byte) { f = frameq.New(dataByte(m.Type, true), p, m.Key) })
	return f
}

// checkSend refuses a message whose sender's context has ended, or that is larger than the
// route's SendLimit.
func (s *Socket) checkSend(ctx context.Context, m *Message) error {
	err := contextEnded(ctx)
	if err == nil {
		err = s.tooLarge(m)
	}
	if err != nil {
		return s.sendRefused(m, s.closedError(err))
	}
	return nil
}

func (s *Socket) tooLarge(m *Message) error {
	if limit := s.route.lim.SendLimit; limit >= 0 && int64(len(m.Data)) > limit {
		return NewError(ErrTooLarge, "the message has %d bytes, the limit is %d", len(m.Data), limit)
	}
	return nil
}

// deflates reports whether the message is compressed for this socket.
func (s *Socket) deflates(m *Message) bool {
	return s.deflate && len(m.Data) >= ws.DeflateThreshold
}

// shortSize is up to how many bytes of payload a message is copied under the outbox's
// lock, so that it needs no frame where it finds room behind the one before it.
const shortSize = 1 << 10

// outgoing makes a checked message what the outbox takes.
func (s *Socket) outgoing(m *Message) outgoing {
	out := outgoing{first: dataByte(m.Type, false), data: m.Data, key: m.Key}
	if m.Key != "" || len(m.Data) > shortSize || s.deflates(m) {
		out.frame = s.encode(m)
	}
	return out
}

// send is Send after checkMessage.
func (s *Socket) send(ctx context.Context, m *Message) error {
	if err := s.checkSend(ctx, m); err != nil {
		return err
	}
	if s.ownContext(ctx) {
		return s.reply(ctx, m)
	}
	return s.put(m)
}

// put is send for everyone but the socket's own events.
func (s *Socket) put(m *Message) error {
	out := s.outgoing(m)
	return s.sent(m, s.out.put(&out))
}

// reply is send with the context of one of the socket's own events. The frame is made
// when it is known where it goes, but for one that is deflated.
func (s *Socket) reply(ctx context.Context, m *Message) error {
	if len(m.Data) > batchSize { // it takes long, and thousands may want one at a time
		s.h.turns.wait()
	}
	out := outgoing{first: dataByte(m.Type, false), data: m.Data, key: m.Key}
	if s.deflates(m) {
		out.frame = s.encode(m)
	}
	return s.sent(m, s.out.reply(ctx, &out))
}

// sendWait is SendWait after checkMessage.
func (s *Socket) sendWait(ctx context.Context, m *Message) error {
	if err := s.checkSend(ctx, m); err != nil {
		return err
	}
	out := s.outgoing(m)
	err := s.out.putWait(ctx, &out)
	s.out.uncork()
	return s.sent(m, err)
}

// sendSync is SendSync after checkMessage.
func (s *Socket) sendSync(ctx context.Context, m *Message) error {
	if err := s.checkSend(ctx, m); err != nil {
		return err
	}
	out := s.outgoing(m)
	queued, err := s.out.putSync(ctx, &out)
	if !queued {
		return s.sent(m, err)
	}
	s.sent(m, nil)
	return s.closedError(err)
}

// sent counts what was accepted.
func (s *Socket) sent(m *Message, err error) error {
	if err != nil {
		return s.sendRefused(m, s.closedError(err))
	}
	s.traffic.messagesOut.Add(1)
	s.traffic.bytesOut.Add(uint64(len(m.Data)))
	if s.isTraced() {
		s.traceSent(m)
	}
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

// refused is told of every message that the outbox refused, and returns its error.
func (s *Socket) refused(err error) error {
	if !errors.Is(err, ErrQueueFull) {
		return err
	}
	if s.route.lim.OnQueueFull == QueueClose && (err != errNoMemory || s.queued().since != 0) {
		s.close(Closed{Cause: CauseSlowConsumer, Code: closePolicy, Err: err})
	}
	return err
}
