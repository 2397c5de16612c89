package main

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	sessionTime = 12 * time.Hour
	leastKey    = 32 // bytes
)

// demoUsers are those of a chat that is told of no others.
var demoUsers = map[string]string{
	"Ada": "lovelace", "Alan": "turing", "Grace": "hopper", "Ken": "thompson", "Radia": "perlman",
}

// Accounts know who may log in and who is logged in. A program of your own has a database
// for this, keeps hashes of passwords, and bounds how often one can be tried.
//
// A session is in its cookie, signed, so that a deploy ends none: the next process knows it,
// and so does another server with the same key, to which the clients of a drained one go.
type accounts struct {
	passwords map[string]string // by user; never changed
	key       []byte            // signs sessions

	mu    sync.Mutex
	ended map[string]time.Time // sessions that were logged out, and when they expire
}

// A session is a user in one browser.
type session struct {
	ID      string    `json:"id"` // is no secret, the cookie is
	User    string    `json:"user"`
	Expires time.Time `json:"expires"`
}

func newAccounts(passwords map[string]string, key []byte) *accounts {
	return &accounts{
		passwords: passwords, key: derive(key, "sessions"), ended: map[string]time.Time{},
	}
}

// login returns the value of a new session's cookie.
func (a *accounts) login(user, password string) (cookie string, s session, ok bool) {
	want, known := a.passwords[user]
	if subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 0 || !known {
		return "", session{}, false
	}
	s = session{ID: rand.Text(), User: user, Expires: time.Now().Add(sessionTime)}
	body, err := json.Marshal(s)
	if err != nil {
		panic(err) // two strings and a time always marshal
	}
	return seal(a.key, body), s, true
}

// session returns the session of a cookie, if it is good.
func (a *accounts) session(cookie string) (s session, ok bool) {
	body, ok := unseal(a.key, cookie)
	if !ok || json.Unmarshal(body, &s) != nil || !time.Now().Before(s.Expires) {
		return session{}, false
	}
	_, known := a.passwords[s.User] // may have been removed since
	return s, known && !a.loggedOut(s.ID)
}

// loggedOut reports whether the session with the id was ended before its time.
func (a *accounts) loggedOut(id string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ended := a.ended[id]
	return ended
}

// logout ends a session before its time. That is known to this process alone: servers that
// share their users share a table of such sessions, too.
func (a *accounts) logout(s session) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(a.ended, func(_ string, expires time.Time) bool { return !now.Before(expires) })
	a.ended[s.ID] = s.Expires
}

// seal returns the body with its signature, for a cookie.
func seal(key, body []byte) string {
	encode := base64.RawURLEncoding.EncodeToString
	return encode(body) + "." + encode(sign(key, body))
}

func unseal(key []byte, text string) (body []byte, ok bool) {
	first, second, _ := strings.Cut(text, ".")
	decode := base64.RawURLEncoding.DecodeString
	body, err := decode(first)
	signature, err2 := decode(second)
	return body, err == nil && err2 == nil && hmac.Equal(signature, sign(key, body))
}

func sign(key, body []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(body)
	return mac.Sum(nil)
}

// derive returns the key for one purpose, so that what is signed for it is good for no other.
func derive(key []byte, purpose string) []byte { return sign(key, []byte(purpose)) }

// readKey returns the key in a file, or a new one, which is lost with the process.
func readKey(file string) ([]byte, error) {
	if file == "" {
		key := make([]byte, leastKey)
		rand.Read(key) // never fails
		return key, nil
	}
	key, err := os.ReadFile(file)
	if err == nil && len(key) < leastKey {
		err = fmt.Errorf("the key in %s has %d bytes, want %d random ones", file, len(key), leastKey)
	}
	return key, err
}

// readUsers returns the users in a file, or those of the demo.
func readUsers(file string) (map[string]string, error) {
	if file == "" {
		return demoUsers, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var users map[string]string
	if err := json.Unmarshal(text, &users); err != nil {
		return nil, fmt.Errorf("%s: want a JSON object of passwords by name: %w", file, err)
	}
	for name, password := range users {
		if !goodName(name) || password == "" {
			return nil, fmt.Errorf("%s: the user %q needs 1 to 40 characters and a password", file, name)
		}
	}
	if len(users) == 0 {
		return nil, errors.New(file + ": it names no user")
	}
	return users, nil
}
