package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
)

// Codes of our own, which the page understands.
const codeLoggedOut = 4001

var loggedOut = &gateway.CloseError{Code: codeLoggedOut, Reason: "logged out"}

func groupOf(user string) string { return "user:" + user }

// revoke ends everything of a user at once: sessions, tokens, and the sockets that are
// open because of them.
func (a *app) revoke(ctx context.Context, user string) (sockets int, err error) {
	a.accounts.logout(user) // first: nothing is admitted any more
	return a.gw.Group(groupOf(user)).CloseWith(ctx, loggedOut.Code, loggedOut.Reason)
}

// bySession is a route whose sockets live as long as the session of their cookie. Each
// message uses the session, as each request does.
func (a *app) bySession() gateway.Route {
	return gateway.Route{
		Pattern:     "/session",
		FixedValues: []string{"user"},
		Authorize: func(r *http.Request) (*gateway.Admission, error) {
			s, ok := a.sessionOf(r)
			if !ok {
				return nil, gateway.NewError(gateway.ErrUnauthorized, "log in first")
			}
			return &gateway.Admission{
				Values: map[string]string{"user": s.user}, Groups: []string{groupOf(s.user)},
				Expires: s.expires,
			}, nil
		},
		OnExpiring: func(ctx context.Context, s *gateway.Socket, _ time.Time) error {
			return s.Send(ctx, gateway.Text(`{"type":"session_expiring"}`))
		},
		Endpoint: gateway.EndpointFunc(a.sessionEvent),
	}
}

func (a *app) sessionEvent(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
	if ev.Type == gateway.EventClose {
		return nil
	}
	// In the open event, too: who logged out between Authorize and now was not in the group
	// yet when its sockets were closed.
	info := s.Info()
	now, ok := a.sessionOf(&http.Request{Header: info.Header})
	if !ok {
		return loggedOut
	}
	if err := s.Renew(now.expires); err != nil {
		return err
	}
	if ev.Type == gateway.EventOpen {
		return nil
	}
	return s.Send(ctx, gateway.Text(s.Value("user")+" said "+string(ev.Message.Data)))
}

// byToken is a route whose sockets live as long as their token, which they can renew.
func (a *app) byToken() gateway.Route {
	return gateway.Route{
		Pattern:     "/token",
		FixedValues: []string{"user"},
		Authorize: func(r *http.Request) (*gateway.Admission, error) {
			text, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			c, err := a.tokens.check(text)
			if !ok || err != nil {
				return nil, gateway.NewError(gateway.ErrUnauthorized, "a good token is required")
			}
			return &gateway.Admission{
				Values: valuesOf(c), Groups: []string{groupOf(c.Subject)}, Expires: c.ExpiresAt.Time,
			}, nil
		},
		OnExpiring: func(ctx context.Context, s *gateway.Socket, _ time.Time) error {
			return s.Send(ctx, gateway.Text(`{"type":"token_expiring"}`))
		},
		Endpoint: gateway.EndpointFunc(a.tokenEvent),
	}
}

func valuesOf(c *claims) map[string]string {
	return map[string]string{"user": c.Subject, "role": c.Role}
}

func (a *app) tokenEvent(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
	switch ev.Type {
	case gateway.EventOpen:
		text, _ := strings.CutPrefix(s.Info().Header.Get("Authorization"), "Bearer ")
		if _, err := a.tokens.check(text); err != nil {
			return loggedOut // since Authorize
		}
		return nil
	case gateway.EventClose:
		return nil
	}
	var m struct{ Token, Text string }
	if err := json.Unmarshal(ev.Message.Data, &m); err != nil {
		return &gateway.CloseError{Code: 1003, Reason: "a message is JSON"}
	}
	if m.Token == "" {
		return s.Send(ctx, gateway.Text(s.Value("role")+" "+s.Value("user")+" said "+m.Text))
	}
	c, err := a.tokens.check(m.Token)
	if err == nil {
		err = s.RenewWith(c.ExpiresAt.Time, valuesOf(c)) // not with somebody else's
	}
	if err != nil {
		return s.Send(ctx, gateway.Text(`{"type":"token_refused"}`))
	}
	return s.Send(ctx, gateway.Text(`{"type":"token_renewed"}`))
}
