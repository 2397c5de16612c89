package gateway

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/wsgateway/gateway/internal/lockorder"
)

// A membership is one socket's place in one group, or among everyone.
type membership struct {
	socket atomic.Pointer[Socket] // nil once the socket has left; cleared under its outbox's lock
}

// A joined is the membership in a group with a name.
type joined struct {
	membership
	name string
}

// end ends the membership: nothing more is queued for the socket through it.
func (m *membership) end(s *Socket) {
	s.out.mu.Lock()
	defer s.out.mu.Unlock()
	m.socket.Store(nil)
}

// A group is a set of memberships. Who sends to it works on the slice as it was,
// without a lock and without a copy: members are only appended, those that left
// stay behind, empty, until a fifth of the slice is empty and a new one is made: among
// everyone, each keeps its ended socket from being collected until then.
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
	if len(g.list) > g.live+g.live/4+1 || g.live == 0 {
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
func (gs *groups) add(m *joined) (first bool) {
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
	g.add(&m.membership)
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
	m := &joined{name: name}
	m.socket.Store(s)
	s.groups = append(s.groups, m)
	s.route.stats.memberships.Add(1)
	first = s.h.groups.add(m)
	s.traceJoinedLocked(name)
	return first, nil
}

// memberLocked returns the index of the group in s.groups, or -1.
func (s *Socket) memberLocked(name string) int {
	return slices.IndexFunc(s.groups, func(m *joined) bool { return m.name == name })
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

func groupNames(memberships []*joined) []string {
	var names []string
	for _, m := range memberships {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return names
}
