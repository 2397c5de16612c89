package gateway

import (
	"context"
	"maps"
	"slices"
	"time"
)

// defaultExpiringBefore is how long before its end a socket's admission is expiring.
const defaultExpiringBefore = time.Minute

// errFixed refuses to change who a socket is.
var errFixed = NewError(ErrForbidden, "the value is fixed for the life of a socket of this route")

// Renew sets when what admitted the socket runs out, see [Admission]: a client has brought
// a new token, and its socket need not end with the old one. The zero time means never. It
// fails with ErrInvalid for a time that has passed, and with ErrClosed once the socket is
// closing: if it returns nil, the socket does not expire before that time.
func (s *Socket) Renew(expires time.Time) error { return s.RenewWith(expires, nil) }

// RenewWith is Renew that also sets values of the admission; those of other names stay. It
// fails with ErrForbidden, and changes nothing, if one of them is among the route's
// FixedValues and differs from what the socket has.
func (s *Socket) RenewWith(expires time.Time, values map[string]string) error {
	if !expires.IsZero() && !time.Now().Before(expires) {
		return invalidf("the time until which the socket is renewed has passed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() || s.expired {
		return ErrClosed
	}
	var next Admission
	if now := s.admission(); now != nil {
		next = *now
	}
	for name, value := range values {
		old, has := next.Values[name]
		if slices.Contains(s.route.FixedValues, name) && (!has || old != value) {
			return NewError(errFixed, "%s: %.100q", errFixed.Message, name)
		}
	}
	if len(values) > 0 {
		changed := make(map[string]string, len(next.Values)+len(values))
		maps.Copy(changed, next.Values)
		maps.Copy(changed, values)
		next.Values = changed
	}
	next.Expires = expires
	s.admitted.Store(&next)
	s.h.sweeper.look(s)
	return nil
}

// Renew sets when what admitted the socket with the id runs out, like [Socket.Renew]; in a
// cluster it may be a socket of another node. It fails with ErrNotFound, too, and in a
// cluster as Send does.
func (h *Handler) Renew(ctx context.Context, id string, expires time.Time) error {
	s, err := h.find(id)
	if err != nil {
		_, err = h.foreign(ctx, Op{Kind: OpRenew, Socket: id, Expires: expires}, err)
		return err
	}
	return s.Renew(expires)
}

// admission returns what admitted the socket, or nil. It is never changed, but replaced.
func (s *Socket) admission() *Admission { return s.admitted.Load() }

// sweepExpiry closes a socket whose admission has run out, and tells its endpoint when it
// is about to. It reports whether the socket is closed.
func (s *Socket) sweepExpiry() bool {
	a := s.admission()
	if a == nil || a.Expires.IsZero() {
		return false
	}
	left := time.Until(a.Expires)
	if left <= 0 {
		if s.expire() {
			s.close(Closed{Cause: CauseExpired, Code: closePolicy})
			return true
		}
		return false
	}
	if left <= s.route.expiringBefore() && !s.rare().told.Equal(a.Expires) {
		s.rare().told = a.Expires
		s.tellExpiring(a.Expires)
	}
	return false
}

// expire marks a socket whose time has run out, unless it has been renewed meanwhile: a
// Renew that returns nil keeps it open.
func (s *Socket) expire() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.admission()
	s.expired = a != nil && !a.Expires.IsZero() && !time.Now().Before(a.Expires)
	return s.expired
}

func (rt *boundRoute) expiringBefore() time.Duration {
	switch {
	case rt.OnExpiring == nil || rt.ExpiringBefore < 0:
		return 0
	case rt.ExpiringBefore == 0:
		return defaultExpiringBefore
	}
	return rt.ExpiringBefore
}

// tellExpiring calls the route's hook in a goroutine of its own: the sweeper waits for
// nobody.
func (s *Socket) tellExpiring(expires time.Time) {
	s.Go(func(ctx context.Context) error { return s.route.OnExpiring(ctx, s, expires) })
}
