package gateway

import (
	"context"
	"iter"
	"slices"
	"time"
	"unicode/utf8"
)

const maxGroupName = 256 // bytes

// A Group is a named set of sockets: a room, a topic, the devices of a user, or everyone.
// It exists while it has members. Every method of the zero Group, and of Group(""), fails
// with ErrInvalid.
type Group struct {
	h       *Handler
	name    string
	all     bool
	except  []string
	exclude map[string]bool // the same, where they are many
	refused func(id string, err error)
}

// A Member is a socket in a group.
type Member struct {
	SocketID string            // as of [Socket.ID]
	Opened   time.Time         // when its upgrade was accepted
	Values   map[string]string // of its Admission; a copy
}

// Group returns the group of that name: 1 to 256 bytes of UTF-8.
func (h *Handler) Group(name string) Group { return Group{h: h, name: name} }

// All returns the group of every open socket. Nobody joins or leaves it.
func (h *Handler) All() Group { return Group{h: h, all: true} }

// Groups returns the names of the groups that have members, in a cluster on any node,
// in lexical order. On one node it cannot fail; in a cluster the error names the nodes
// that did not answer.
func (h *Handler) Groups(ctx context.Context) ([]string, error) {
	return h.namesElsewhere(ctx, h.groups.names())
}

// Except returns the group without the sockets that have these ids, for Send,
// CloseWith and Members. Ids that nobody has are ignored.
func (g Group) Except(ids ...string) Group {
	g.except = slices.Concat(g.except, ids)
	if len(g.except) > 16 { // a map is faster from here on
		g.exclude = make(map[string]bool, len(g.except))
		for _, id := range g.except {
			g.exclude[id] = true
		}
	}
	return g
}

// OnRefused returns the group with a function that Send calls for every member
// that did not accept the message, with its id and the error: ErrQueueFull,
// ErrClosed or ErrTooLarge. The calls come from the goroutine of Send, before that
// returns, when the message has been offered to all.
func (g Group) OnRefused(fn func(id string, err error)) Group {
	g.refused = fn
	return g
}

// Join adds the socket to the group; if it is a member, that is no error. It
// fails with ErrInvalid, also above Options.MaxGroupsPerSocket, with ErrNotFound
// or with ErrClosed. A socket leaves its groups when it begins to close.
func (g Group) Join(ctx context.Context, id string) error {
	s, err := g.socket(id)
	if err != nil {
		return g.foreign(ctx, OpJoin, id, err)
	}
	return s.join(g.name)
}

// Leave removes the socket from the group; if it is no member, that is no error. After
// Leave returns, nothing more that is sent to the group is queued for the socket. It fails
// with ErrInvalid or ErrNotFound.
func (g Group) Leave(ctx context.Context, id string) error {
	s, err := g.socket(id)
	if err != nil {
		return g.foreign(ctx, OpLeave, id, err)
	}
	s.leave(g.name)
	return nil
}

// socket checks what Join and Leave need.
func (g Group) socket(id string) (*Socket, error) {
	if g.all {
		return nil, invalidf("every socket is in All, and none can join or leave it")
	}
	if err := g.check(); err != nil {
		return nil, err
	}
	return g.h.find(id)
}

func (g Group) check() error {
	switch {
	case g.h == nil || g.name == "" && !g.all:
		return invalidf("the group name is empty")
	case len(g.name) > maxGroupName || !utf8.ValidString(g.name):
		return invalidf("a group name is UTF-8 of at most %d bytes", maxGroupName)
	}
	return nil
}

// Len returns the number of members, including those that Except leaves out. It fails with
// ErrInvalid for the name.
func (g Group) Len(ctx context.Context) (int, error) {
	if err := g.check(); err != nil {
		return 0, err
	}
	return g.h.countElsewhere(ctx, g.lenHere(), g.op(OpLen))
}

func (g Group) lenHere() int {
	if g.all {
		return g.h.everyone.len()
	}
	return g.h.groups.len(g.name)
}

// Members yields the members, in no order. An error is the last that it yields,
// with a zero Member: ErrInvalid for the name.
func (g Group) Members(ctx context.Context) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		if err := g.check(); err != nil {
			yield(Member{}, err)
			return
		}
		for _, m := range g.members() {
			s := m.socket.Load()
			if s == nil || g.excepts(s) {
				continue
			}
			if !yield(s.member(), nil) {
				return
			}
		}
		g.membersElsewhere(ctx, yield)
	}
}

// CloseWith begins to close every member, like [Handler.CloseWith], and returns
// how many. It fails with ErrInvalid for the name, the code or the reason.
func (g Group) CloseWith(ctx context.Context, code int, reason string) (int, error) {
	if err := g.check(); err != nil {
		return 0, err
	}
	code, err := checkClose(code, reason)
	if err != nil {
		return 0, err
	}
	op := g.op(OpGroupClose)
	op.Code, op.Reason = code, reason
	return g.h.countElsewhere(ctx, g.closeHere(code, reason), op)
}

func (g Group) closeHere(code int, reason string) (n int) {
	for _, m := range g.members() {
		s := m.socket.Load()
		if s != nil && !g.excepts(s) &&
			s.close(Closed{Cause: CauseOperation, Code: code, Reason: reason}) {
			n++
		}
	}
	return n
}

// Send puts the message into the queue of every member and returns how many accepted it. A
// member that does not is no error, see [Group.OnRefused] and [Stats]. The error is
// ErrInvalid for the name or the message, or ErrTimeout if ctx has ended. It waits for no
// member, not even with the context of a member's own event. The message is encoded once
// for all.
func (g Group) Send(ctx context.Context, m Message) (int, error) {
	if err := g.check(); err != nil {
		return 0, err
	}
	if err := checkMessage(&m); err != nil {
		return 0, err
	}
	if err := contextEnded(ctx); err != nil {
		return 0, err
	}
	if g.h.opts.Engine == nil {
		return g.sendHere(m), nil
	}
	return g.sendEverywhere(ctx, m)
}

// sendHere sends a checked message to the members on this node.
func (g Group) sendHere(m Message) int {
	members := g.members()
	if len(members) == 0 {
		return 0
	}
	f := &fanout{g: g, m: m, members: members}
	f.plain = f.share(m.Data, false)
	f.run()
	f.tellRefused()
	return int(f.accepted.Load())
}

func (g Group) members() []*membership {
	if g.all {
		return g.h.everyone.members()
	}
	return g.h.groups.members(g.name)
}

// excepts takes the socket, for reading its id costs a cache line.
func (g Group) excepts(s *Socket) bool {
	if g.exclude != nil {
		return g.exclude[s.id]
	}
	return len(g.except) > 0 && slices.Contains(g.except, s.id)
}
