package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/prometheus"
	"github.com/wsgateway/gateway/ticket"
)

const roomPattern = "/rooms/{room}"

const (
	maxName    = 40      // characters of a person's or a room's name
	maxMessage = 2 << 10 // bytes; a whole history, in JSON, must stay below 1 MiB
	keepEmpty  = 100     // rooms without members that are remembered
	maxShown   = 200     // names, or rooms, in one list
)

// A chat is the rooms and who is in them.
type chat struct {
	gw       *gateway.Handler
	accounts *accounts
	tickets  *ticket.Tickets
	measured *prometheus.Metrics
	wake     chan struct{} // holds one value while there is something to publish

	mu      sync.Mutex
	rooms   map[string]*room // guarded by mu, like all that follows
	empty   []*room          // those without sockets, the one that was left first in front
	changed map[*room]bool   // rooms whose members have changed since the last publication
}

// route returns the route of the rooms. A page offers its ticket as a subprotocol, beside
// chat.v1.
func (c *chat) route() gateway.Route {
	return gateway.Route{
		Pattern:      roomPattern,
		Subprotocols: []string{"chat.v1"},
		Authorize:    c.admit,
		FixedValues:  []string{ticket.UserValue, sessionValue},
		Endpoint:     gateway.PerSocket(c.open),
		Limits:       gateway.Limits{ReadLimit: maxMessage},
	}
}

// goodName reports whether a person or a room can have the name.
func goodName(name string) bool {
	return name != "" && utf8.ValidString(name) && utf8.RuneCountInString(name) <= maxName
}

// open brings a socket into its room.
func (c *chat) open(ctx context.Context, s *gateway.Socket) (gateway.Endpoint, error) {
	// Who logged out since the ticket was made was not among the session's sockets yet when
	// those were closed.
	if c.accounts.loggedOut(s.Value(sessionValue)) {
		return nil, loggedOut
	}
	user := s.Value(ticket.UserValue)
	r := c.enter(s.PathValue("room"), user)
	err := r.admit(ctx, s, user)
	c.announce(r)
	return gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			if m.Type != gateway.MessageText {
				return &gateway.CloseError{Code: 1003, Reason: "rooms are for text"}
			}
			return r.say(ctx, user, string(m.Data))
		},
		OnClose: func(context.Context, *gateway.Socket, gateway.Closed) { c.leave(r, user) },
	}, err
}

// enter returns the room of that name with one more socket of the user in it.
func (c *chat) enter(name, user string) *room {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rooms[name]
	if r == nil {
		// With a prefix, a room can never be mistaken for another kind of group.
		r = &room{name: name, group: c.gw.Group("room:" + name), sockets: map[string]int{}}
		c.rooms[name] = r
	}
	if i := slices.Index(c.empty, r); i >= 0 {
		c.empty = slices.Delete(c.empty, i, i+1)
	}
	r.sockets[user]++
	return r
}

// leave ends what enter began. Of the rooms that nobody is in, those that were
// left last are remembered.
func (c *chat) leave(r *room, user string) {
	c.mu.Lock()
	if r.sockets[user]--; r.sockets[user] == 0 {
		delete(r.sockets, user)
	}
	if len(r.sockets) == 0 {
		c.empty = append(c.empty, r)
	}
	if len(c.empty) > keepEmpty {
		delete(c.rooms, c.empty[0].name)
		c.empty = slices.Delete(c.empty, 0, 1)
	}
	c.mu.Unlock()
	c.announce(r)
}

// announce has the room's new list of members published soon.
func (c *chat) announce(r *room) {
	c.mu.Lock()
	c.changed[r] = true
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
}

// listed are the rooms as everybody sees them, the fullest first.
func (c *chat) listed() []listedRoom {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make([]listedRoom, 0, len(c.rooms))
	for _, r := range c.rooms {
		list = append(list, listedRoom{Name: r.name, Members: len(r.sockets)})
	}
	slices.SortFunc(list, func(a, b listedRoom) int {
		return cmp.Or(cmp.Compare(b.Members, a.Members), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(maxShown, len(list))]
}

// members returns how many people are in a room, and the first names in order.
func (c *chat) members(r *room) (n int, names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	names = append([]string{}, slices.Sorted(maps.Keys(r.sockets))...) // JSON writes nil as null
	return len(names), names[:min(maxShown, len(names))]
}

// takeChanged returns the rooms that have changed, and begins anew.
func (c *chat) takeChanged() map[*room]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.changed
	c.changed = map[*room]bool{}
	return taken
}
