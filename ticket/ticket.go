// Package ticket lets pages open sockets without a token in the URL.
//
// A browser cannot set headers on a WebSocket. So tokens end up in URLs, and from there in
// logs. With tickets, the page first asks your server for one, with an ordinary request
// that your application authenticates as always. It puts the ticket into the upgrade,
// where it is redeemed:
//
//	tickets := ticket.New(nil)
//	gw := gateway.New(&gateway.Options{Authorize: tickets.Authorize})
//	mux.Handle("/chat", tickets.Wrap(gw))
//	mux.HandleFunc("POST /ticket", func(w http.ResponseWriter, r *http.Request) {
//		// ... who is it? The session's cookie says so.
//		t, err := tickets.Issue(ticket.Claims{
//			User: user, Route: "/chat", Origin: r.Header.Get("Origin"),
//		})
//		// ...
//		fmt.Fprint(w, t)
//	})
//
// And in the page:
//
//	const ticket = await (await fetch("/ticket", {method: "POST"})).text();
//	new WebSocket("wss://example.com/chat", ["chat.v1", "ticket." + ticket]);
//
// Offered as a subprotocol, as here, the ticket is in no URL. The page must then offer one
// of the route's Subprotocols besides: browsers end a connection whose server chooses none.
// Where there are no subprotocols the ticket goes into the query, as ticket=…; a proxy may
// log it, but it is worth nothing any more once it was redeemed.
//
// A ticket is signed, good for 30 seconds, for one user, one route and one origin, and
// redeemed once. [Tickets.Wrap] takes it out of the request before the gateway sees that, so
// it is in no Info, no log and no metric.
package ticket

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
)

const (
	defaultTTL = 30 * time.Second
	longestTTL = time.Hour
	leastKey   = 32      // bytes
	mostTicket = 4 << 10 // bytes of a ticket
)

// UserValue is the name of the value that has [Claims].User, see [gateway.Socket.Value].
const UserValue = "user"

// Options configure [Tickets]. A nil *Options, like the zero value, is all defaults.
type Options struct {
	// Keys sign tickets, with HMAC-SHA256: the first one signs, all of them verify, so that
	// they can be exchanged. Each has at least 32 random bytes. Nil means a random key, which
	// is right for one process: nothing that was issued before a restart is good after it.
	// Servers that redeem each other's tickets need the same keys, and a Store in common.
	Keys [][]byte

	// TTL is how long a ticket is good for. Zero means 30 seconds; above an hour panics.
	TTL time.Duration

	// Store remembers which tickets were redeemed. Nil means this process's memory, so a
	// ticket is good once for each process.
	Store Store
}

// A Store remembers tickets for as long as they are good. Its method is called from many
// goroutines.
type Store interface {
	// Redeem reports whether nobody has redeemed the id before. It must remember the id
	// until that time at least, and of two calls at once say so to one. An error refuses
	// the upgrade with 500.
	//
	// With Redis it is one command: SET ticket:<id> 1 NX PXAT <until>.
	Redeem(ctx context.Context, id string, until time.Time) (first bool, err error)
}

// Claims say what a ticket is good for.
type Claims struct {
	// User is whom the socket is for. It becomes the value "user" of the socket, and must
	// not be empty.
	User string `json:"u"`

	// Route is the pattern of the one route that takes the ticket, e.g. "/rooms/{id}".
	Route string `json:"r"`

	// Origin must be that of the upgrade, exactly: pass the Origin header of the page's
	// own request, which browsers set on every POST. Empty is good only for clients that
	// send no Origin, which are no browsers.
	Origin string `json:"o,omitempty"`

	// Values become values of the socket.
	Values map[string]string `json:"v,omitempty"`

	// Until is when the socket expires, as [gateway.Admission].Expires: the end of the
	// session that asks for the ticket, say. The zero time means never.
	Until time.Time `json:"t,omitzero"`
}

// Tickets issues tickets and redeems them. Its methods are safe from any goroutine.
type Tickets struct {
	keys  [][]byte
	ttl   time.Duration
	store Store
}

// New returns Tickets. A key that is too short, or a TTL that is negative or above an hour,
// panics.
func New(opts *Options) *Tickets {
	var o Options
	if opts != nil {
		o = *opts
	}
	t := &Tickets{ttl: o.TTL, store: o.Store}
	if t.ttl == 0 {
		t.ttl = defaultTTL
	}
	if t.ttl < 0 || t.ttl > longestTTL {
		panic(fmt.Sprintf("ticket: Options.TTL is %v, want up to %v", t.ttl, longestTTL))
	}
	for i, key := range o.Keys {
		if len(key) < leastKey {
			panic(fmt.Sprintf("ticket: Options.Keys[%d] has %d bytes, want %d", i, len(key), leastKey))
		}
		t.keys = append(t.keys, append([]byte(nil), key...))
	}
	if len(t.keys) == 0 {
		key := make([]byte, leastKey)
		rand.Read(key) // never fails
		t.keys = [][]byte{key}
	}
	if t.store == nil {
		t.store = newMemory(t.ttl)
	}
	return t
}

// A payload is what is signed.
type payload struct {
	ID      string `json:"i"`
	Expires int64  `json:"e"` // milliseconds since the Unix epoch
	Claims
}

// Issue returns a new ticket: up to 4 KiB of letters, digits, '-', '_' and a '.'. It fails
// with [gateway.ErrInvalid] without user or route, or where the claims are too long.
func (t *Tickets) Issue(c Claims) (string, error) {
	if c.User == "" || c.Route == "" {
		return "", gateway.NewError(gateway.ErrInvalid, "a ticket needs a user and a route")
	}
	p := payload{ID: rand.Text(), Expires: time.Now().Add(t.ttl).UnixMilli(), Claims: c}
	b, err := json.Marshal(p)
	if err != nil { // strings always marshal
		return "", gateway.NewError(gateway.ErrInternal, "ticket: %w", err)
	}
	body := base64.RawURLEncoding.EncodeToString(b)
	ticket := body + "." + signatureOf(t.keys[0], body)
	if len(ticket) > mostTicket {
		return "", gateway.NewError(gateway.ErrInvalid,
			"the claims make a ticket of %d bytes, the limit is %d", len(ticket), mostTicket)
	}
	return ticket, nil
}

func signatureOf(key []byte, body string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(body))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// verify returns what a ticket says, if one of the keys has signed it.
func (t *Tickets) verify(ticket string) (p payload, ok bool) {
	body, signature, found := strings.Cut(ticket, ".")
	if !found || len(ticket) > mostTicket {
		return p, false
	}
	// As text: decoding skips line breaks, and another text is another ticket.
	signed := false
	for _, key := range t.keys {
		signed = hmac.Equal([]byte(signature), []byte(signatureOf(key, body))) || signed
	}
	if !signed {
		return p, false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(body)
	if err != nil || json.Unmarshal(b, &p) != nil {
		return p, false
	}
	return p, true
}

// Redeem redeems a ticket for an upgrade of the route from the origin. It fails with
// [gateway.ErrUnauthorized] for a ticket that is forged, expired or already redeemed, with
// [gateway.ErrForbidden] for one of another route or origin, and with
// [gateway.ErrInternal] if the store fails. Only a ticket that is good is used up.
func (t *Tickets) Redeem(ctx context.Context, ticket, route, origin string) (Claims, error) {
	p, ok := t.verify(ticket)
	if !ok {
		return Claims{}, gateway.NewError(gateway.ErrUnauthorized, "the ticket is not valid")
	}
	expires := time.UnixMilli(p.Expires)
	switch {
	case !time.Now().Before(expires):
		return Claims{}, gateway.NewError(gateway.ErrUnauthorized, "the ticket has expired")
	case p.Route != route:
		return Claims{}, gateway.NewError(gateway.ErrForbidden, "the ticket is for another route")
	case p.Origin != origin:
		return Claims{}, gateway.NewError(gateway.ErrForbidden, "the ticket is for another origin")
	}
	first, err := t.store.Redeem(ctx, p.ID, expires)
	if err != nil {
		return Claims{}, gateway.NewError(gateway.ErrInternal, "the ticket's store: %w", err)
	}
	if !first {
		return Claims{}, gateway.NewError(gateway.ErrUnauthorized, "the ticket was redeemed before")
	}
	return p.Claims, nil
}

// Authorize redeems the ticket of an upgrade; it is for [gateway.Options] or a
// [gateway.Route]. The claims become values of the socket. It fails as Redeem does, with
// ErrUnauthorized where there is no ticket. The request must have come through Wrap.
func (t *Tickets) Authorize(r *http.Request) (*gateway.Admission, error) {
	found, wrapped := r.Context().Value(foundKey{}).(found)
	switch {
	case !wrapped:
		return nil, fmt.Errorf("ticket: the gateway of %s is not inside Tickets.Wrap", r.Pattern)
	case len(found) == 0:
		return nil, gateway.NewError(gateway.ErrUnauthorized, "a ticket is required")
	case len(found) > 1:
		return nil, gateway.NewError(gateway.ErrUnauthorized, "there is more than one ticket")
	}
	c, err := t.Redeem(r.Context(), found[0], r.Pattern, r.Header.Get("Origin"))
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, value := range c.Values {
		values[name] = value
	}
	values[UserValue] = c.User
	return &gateway.Admission{Values: values, Expires: c.Until}, nil
}

// Present reports whether an upgrade brings a ticket, for an Authorize function that also
// takes something else. The request must have come through Wrap.
func Present(r *http.Request) bool {
	found, _ := r.Context().Value(foundKey{}).(found)
	return len(found) > 0
}
