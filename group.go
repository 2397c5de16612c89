package gateway

import (
	"context"
	"hash/maphash"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/wsgateway/gateway/internal/lockorder"
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
	if err := checkMessage(m); err != nil {
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

// A membership is one socket's place in one group.
type membership struct {
	name   string
	socket atomic.Pointer[Socket] // nil once the socket has left; cleared under its outbox's lock
}

// end ends the membership: nothing more is queued for the socket through it.
func (m *membership) end(s *Socket) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	m.socket.Store(nil)
}

// A group is a set of memberships. Who sends to it works on the slice as it was,
// without a lock and without a copy: members are only appended, those that left
// stay behind, empty, until half of the slice is empty and a new one is made.
type group struct {
	mu   lockorder.Mutex[rankGroup]
	list []*membership
	live int // members that have not left
}

func (g *group) add(m *membership) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = append(g.list, m)
	g.live++
}

// left is called after a membership has ended, and returns how many are left.
func (g *group) left() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live--
	if len(g.list) >= 2*g.live+8 || g.live == 0 {
		list := make([]*membership, 0, g.live+g.live/4)
		for _, m := range g.list {
			if m.socket.Load() != nil {
				list = append(list, m)
			}
		}
		g.list = list
	}
	return g.live
}

func (g *group) members() []*membership {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list
}

func (g *group) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.live
}

// groups are the named groups. A group is made by its first member and removed
// with its last.
type groups struct {
	seed   maphash.Seed
	shards [shardCount]groupShard
}

type groupShard struct {
	mu     lockorder.RWMutex[rankGroupShard]
	byName map[string]*group
}

func (gs *groups) shard(name string) *groupShard {
	return &gs.shards[maphash.String(gs.seed, name)%shardCount]
}

// add reports whether the group is a new one.
func (gs *groups) add(m *membership) (first bool) {
	sh := gs.shard(m.name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	g := sh.byName[m.name]
	if first = g == nil; first {
		if sh.byName == nil {
			sh.byName = map[string]*group{}
		}
		g = new(group)
		sh.byName[m.name] = g
	}
	g.add(m)
	return first
}

// left reports whether the group is no more.
func (gs *groups) left(name string) (last bool) {
	sh := gs.shard(name)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if g := sh.byName[name]; g != nil && g.left() == 0 {
		delete(sh.byName, name)
		if len(sh.byName) == 0 {
			sh.byName = nil // maps do not shrink
		}
		return true
	}
	return false
}

func (gs *groups) get(name string) *group {
	sh := gs.shard(name)
	sh.mu.RLock()
	defer sh.mu.RUnlock()
	return sh.byName[name]
}

func (gs *groups) members(name string) []*membership {
	if g := gs.get(name); g != nil {
		return g.members()
	}
	return nil
}

func (gs *groups) len(name string) int {
	if g := gs.get(name); g != nil {
		return g.len()
	}
	return 0
}

func (gs *groups) names() []string {
	var names []string
	for i := range gs.shards {
		sh := &gs.shards[i]
		sh.mu.RLock()
		names = slices.AppendSeq(names, maps.Keys(sh.byName))
		sh.mu.RUnlock()
	}
	slices.Sort(names)
	return names
}

func (gs *groups) count() (n int) {
	for i := range gs.shards {
		sh := &gs.shards[i]
		sh.mu.RLock()
		n += len(sh.byName)
		sh.mu.RUnlock()
	}
	return n
}

// join adds the socket to a group whose name was checked.
func (s *Socket) join(name string) error {
	first, err := s.enter(name)
	if first {
		s.h.interest(name)
	}
	return err
}

// enter is join; first says that the group had no member before.
func (s *Socket) enter(name string) (first bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false, ErrClosed
	}
	if s.memberLocked(name) >= 0 {
		return false, nil
	}
	if most := s.h.opts.MaxGroupsPerSocket; most >= 0 && len(s.groups) >= most {
		return false, invalidf("the socket is in %d groups, the limit", len(s.groups))
	}
	m := &membership{name: name}
	m.socket.Store(s)
	s.groups = append(s.groups, m)
	s.route.stats.memberships.Add(1)
	first = s.h.groups.add(m)
	s.traceJoinedLocked(name)
	return first, nil
}

// memberLocked returns the index of the group in s.groups, or -1.
func (s *Socket) memberLocked(name string) int {
	return slices.IndexFunc(s.groups, func(m *membership) bool { return m.name == name })
}

// leave ends the membership before any other join or leave of the socket goes on.
func (s *Socket) leave(name string) {
	if s.quit(name) {
		s.h.interest(name)
	}
}

// quit is leave; last says that the group has no members any more.
func (s *Socket) quit(name string) (last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := s.memberLocked(name)
	if i < 0 || s.closing.Load() { // a closing socket has left all
		return false
	}
	m := s.groups[i]
	s.groups = slices.Delete(s.groups, i, i+1)
	m.end(s)
	s.traceLeft(name)
	s.route.stats.memberships.Add(-1)
	return s.h.groups.left(name)
}

// joinAdmitted joins the groups of the socket's admission.
func (s *Socket) joinAdmitted() {
	a := s.admission()
	if a == nil {
		return
	}
	for _, name := range a.Groups {
		g := s.h.Group(name)
		err := g.check()
		if err == nil {
			err = s.join(name)
		}
		if err != nil {
			s.h.log.Warn("group of an admission not joined", s.attrs("group", name, "error", err.Error())...)
		}
	}
}

// leaveAllLocked ends all memberships; closing has begun, so no new ones can come. The
// names stay for the close event. It returns the groups of which an engine is to be told
// that they have ended, once no lock is held.
func (s *Socket) leaveAllLocked() (over []string) {
	for _, m := range s.groups {
		m.end(s)
		if s.h.groups.left(m.name) && s.h.opts.Engine != nil {
			over = append(over, m.name)
		}
	}
	s.route.stats.memberships.Add(-int64(len(s.groups)))
	if s.all.socket.Load() != nil {
		s.all.end(s)
		s.h.everyone.left()
	}
	return over
}

func groupNames(memberships []*membership) []string {
	var names []string
	for _, m := range memberships {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return names
}
