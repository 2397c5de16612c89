package main

import (
	"crypto/rand"
	"crypto/subtle"
	"sync"
	"time"
)

const sessionTime = 30 * time.Minute // since it was last used

// Accounts know who may log in and who is logged in. A program of your own has a database
// for this, and keeps hashes of passwords.
type accounts struct {
	passwords map[string]string // by user; never changed

	mu       sync.Mutex
	sessions map[string]session // by the cookie's value
	// The number in a user's tokens that are good. Logging out counts it up, so tokens that
	// were issued before are refused although they have not expired.
	generation map[string]int
}

type session struct {
	user    string
	expires time.Time
}

func newAccounts(passwords map[string]string) *accounts {
	return &accounts{
		passwords: passwords, sessions: map[string]session{}, generation: map[string]int{},
	}
}

// login returns the value of a new session's cookie.
func (a *accounts) login(user, password string) (cookie string, ok bool) {
	want, known := a.passwords[user]
	if subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 0 || !known {
		return "", false
	}
	cookie = rand.Text()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dropExpiredLocked()
	a.sessions[cookie] = session{user, time.Now().Add(sessionTime)}
	return cookie, true
}

// use returns the session of a cookie and lets it live on from now.
func (a *accounts) use(cookie string) (session, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.sessions[cookie]
	if !ok || !time.Now().Before(s.expires) {
		return session{}, false
	}
	s.expires = time.Now().Add(sessionTime)
	a.sessions[cookie] = s
	return s, true
}

// logout ends all sessions and tokens of a user.
func (a *accounts) logout(user string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.generation[user]++
	for cookie, s := range a.sessions {
		if s.user == user {
			delete(a.sessions, cookie)
		}
	}
}

func (a *accounts) generationOf(user string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.generation[user]
}

func (a *accounts) dropExpiredLocked() {
	now := time.Now()
	for cookie, s := range a.sessions {
		if !now.Before(s.expires) {
			delete(a.sessions, cookie)
		}
	}
}
