package gateway

import (
	"maps"
	"slices"
)

// A page of a list ends at a place that its receiver hands back for the next one: the
// part of the registry, and the last entry that was seen. Nothing is kept for a reader
// in between, and what stays in the list all the while is in exactly one page.

// pageStart reads such a place.
func pageStart(page string) (part int, after string, err error) {
	if page == "" {
		return 0, "", nil
	}
	if page[0] >= shardCount {
		return 0, "", invalidf("there is no such page")
	}
	return int(page[0]), page[1:], nil
}

func pageEnd(part int, last string) string { return string(rune(part)) + last } // part is ASCII

// A pager collects the entries of one page.
type pager struct {
	left  int // bytes
	count int
}

// take reports whether an entry of n bytes goes into the page.
func (p *pager) take(n int) bool {
	if p.count > 0 && n > p.left {
		return false
	}
	p.count++
	p.left -= n
	return true
}

const entryCost = 8 // bytes, at most, of what stands beside an entry's text

// idPage returns a page of the ids of open sockets.
func (h *Handler) idPage(op Op) (Result, error) {
	var r Result
	page := pager{left: op.Limit}
	err := h.eachID(op.Page, func(part int, s *Socket) bool {
		if !page.take(len(s.id) + entryCost) {
			return false
		}
		r.IDs = append(r.IDs, s.id)
		r.Next = pageEnd(part, s.id)
		return true
	}, &r)
	return r, err
}

// eachID calls fn for the open sockets from a page on, until it returns false. If it
// never does, there is no next page.
func (h *Handler) eachID(page string, fn func(part int, s *Socket) bool, r *Result) error {
	part, after, err := pageStart(page)
	if err != nil {
		return err
	}
	var some []*Socket
	for ; part < shardCount; part++ {
		some = slices.DeleteFunc(h.hub.shards[part].copy(some[:0]), func(s *Socket) bool {
			return s.isClosing() || s.id <= after
		})
		slices.SortFunc(some, compareIDs)
		for _, s := range some {
			if !fn(part, s) {
				return nil
			}
		}
		after = ""
	}
	r.Next = ""
	return nil
}

func compareIDs(a, b *Socket) int {
	switch {
	case a.id < b.id:
		return -1
	case a.id > b.id:
		return 1
	}
	return 0
}

// namePage returns a page of the names of groups.
func (h *Handler) namePage(op Op) (Result, error) {
	part, after, err := pageStart(op.Page)
	if err != nil {
		return Result{}, err
	}
	var r Result
	page := pager{left: op.Limit}
	for ; part < shardCount; part++ {
		for _, name := range h.groups.shards[part].names() {
			if name <= after {
				continue
			}
			if !page.take(len(name) + entryCost) {
				return r, nil
			}
			r.Names = append(r.Names, name)
			r.Next = pageEnd(part, name)
		}
		after = ""
	}
	r.Next = ""
	return r, nil
}

// names returns the names of the shard's groups in lexical order.
func (sh *groupShard) names() []string {
	sh.mu.RLock()
	names := slices.Collect(maps.Keys(sh.byName))
	sh.mu.RUnlock()
	slices.Sort(names)
	return names
}

// memberPage returns a page of the group's members.
func (g Group) memberPage(op Op) (Result, error) {
	var r Result
	page := pager{left: op.Limit}
	add := func(part int, s *Socket) bool {
		if g.excepts(s) {
			return true
		}
		m := s.member()
		if !page.take(m.size()) {
			return false
		}
		r.Members = append(r.Members, m)
		r.Next = pageEnd(part, s.id)
		return true
	}
	if g.all {
		err := g.h.eachID(op.Page, add, &r)
		return r, err
	}
	_, after, err := pageStart(op.Page)
	if err != nil {
		return Result{}, err
	}
	var sockets []*Socket
	for _, m := range g.members() {
		if s := m.socket.Load(); s != nil && s.id > after {
			sockets = append(sockets, s)
		}
	}
	slices.SortFunc(sockets, compareIDs)
	for _, s := range sockets {
		if !add(0, s) {
			return r, nil
		}
	}
	r.Next = ""
	return r, nil
}

// member describes the socket as a member of a group.
func (s *Socket) member() Member {
	m := Member{SocketID: s.id, Opened: s.opened}
	if a := s.admission(); a != nil {
		m.Values = maps.Clone(a.Values)
	}
	return m
}

// size is about what the member takes in a page, in bytes.
func (m Member) size() int {
	n := len(m.SocketID) + 2*entryCost
	for k, v := range m.Values {
		n += len(k) + len(v) + entryCost
	}
	return n
}
