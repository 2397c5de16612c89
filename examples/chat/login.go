package main

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/ticket"
)

const (
	cookieName   = "chat-session"
	sessionValue = "session" // of a socket: the id of its session
)

// Code of our own for sockets whose session was logged out: the page does not come back.
var loggedOut = &gateway.CloseError{Code: 4001, Reason: "logged out"}

// groupOf is the group of a session's sockets.
func groupOf(session string) string { return "session:" + session }

// sessionOf returns the session of a request's cookie.
func (c *chat) sessionOf(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	return c.accounts.session(cookie.Value)
}

// login answers 204 with a session's cookie, or 401.
func (c *chat) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	value, s, ok := c.accounts.login(r.PostFormValue("user"), r.PostFormValue("password"))
	if !ok {
		http.Error(w, "wrong name or password", http.StatusUnauthorized)
		return
	}
	setCookie(w, r, &http.Cookie{Value: value, Expires: s.Expires})
}

// logout ends the session with all of its sockets.
func (c *chat) logout(w http.ResponseWriter, r *http.Request) {
	if s, ok := c.sessionOf(r); ok {
		c.accounts.logout(s) // first: nothing is admitted any more
		sockets := c.gw.Group(groupOf(s.ID))
		if _, err := sockets.CloseWith(r.Context(), loggedOut.Code, loggedOut.Reason); err != nil {
			slog.Error("chat: logout", "error", err)
		}
	}
	setCookie(w, r, &http.Cookie{MaxAge: -1})
}

func setCookie(w http.ResponseWriter, r *http.Request, cookie *http.Cookie) {
	cookie.Name, cookie.Path, cookie.HttpOnly = cookieName, "/", true
	cookie.SameSite = http.SameSiteStrictMode
	cookie.Secure = r.TLS != nil // behind a proxy that speaks TLS, set it always
	http.SetCookie(w, cookie)
	w.WriteHeader(http.StatusNoContent)
}

// ticket answers with a ticket for one socket of the session.
func (c *chat) ticket(w http.ResponseWriter, r *http.Request) {
	s, ok := c.sessionOf(r)
	if !ok {
		http.Error(w, "log in first", http.StatusUnauthorized)
		return
	}
	t, err := c.tickets.Issue(ticket.Claims{
		User: s.User, Route: roomPattern, Origin: r.Header.Get("Origin"),
		Values: map[string]string{sessionValue: s.ID},
		Until:  s.Expires,
	})
	if err != nil {
		slog.Error("chat: no ticket", "error", err)
		http.Error(w, "no ticket", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprint(w, t)
}

// admit is asked before the upgrade, which brings a ticket.
func (c *chat) admit(r *http.Request) (*gateway.Admission, error) {
	if !goodName(r.PathValue("room")) {
		return nil, gateway.NewError(gateway.ErrInvalid, "the name of a room has 1 to 40 characters")
	}
	a, err := c.tickets.Authorize(r)
	if err != nil {
		return nil, err
	}
	a.Groups = []string{groupOf(a.Values[sessionValue])}
	return a, nil
}
