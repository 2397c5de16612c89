// Auth shows sockets whose clients are known: by the cookie of a session, or by a JWT which
// they renew while the socket stays open. Logging out ends both at once.
//
//	go run ./examples/auth
//	curl -c jar -d user=ann -d password=secret http://127.0.0.1:8080/login
//	curl -b jar -X POST http://127.0.0.1:8080/token       # a JWT for /token
//	curl -b jar -X POST http://127.0.0.1:8080/logout      # ends all sockets of ann
//
// The users are in this file, and the key of the tokens is made anew at each start.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/wsgateway/gateway"
)

const cookieName = "session"

// An app is the accounts and the sockets of those who have one.
type app struct {
	gw       *gateway.Handler
	accounts *accounts
	tokens   *tokens
}

func newApp(passwords map[string]string) (*app, http.Handler) {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	a := &app{gw: gateway.New(nil), accounts: newAccounts(passwords)}
	a.tokens = &tokens{key: key, accounts: a.accounts}
	a.gw.HandleRoute(a.bySession())
	a.gw.HandleRoute(a.byToken())

	mux := http.NewServeMux()
	mux.Handle("GET /session", a.gw)
	mux.Handle("GET /token", a.gw)
	mux.HandleFunc("POST /login", a.login)
	mux.HandleFunc("POST /token", a.loggedIn(a.newToken))
	mux.HandleFunc("POST /logout", a.loggedIn(a.logout))
	mux.HandleFunc("GET /api/v1/solution/health", a.gw.ServeHealth)
	// Requests of other sites' pages are refused; the gateway checks upgrades itself.
	return a, http.NewCrossOriginProtection().Handler(mux)
}

// sessionOf returns the session of a request's cookie.
func (a *app) sessionOf(r *http.Request) (session, bool) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return session{}, false
	}
	return a.accounts.use(cookie.Value)
}

// loggedIn wraps what only those with a session may do.
func (a *app) loggedIn(next func(http.ResponseWriter, *http.Request, session)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, ok := a.sessionOf(r)
		if !ok {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		next(w, r, s)
	}
}

func (a *app) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	value, ok := a.accounts.login(r.PostFormValue("user"), r.PostFormValue("password"))
	if !ok {
		http.Error(w, "wrong user or password", http.StatusUnauthorized)
		return
	}
	http.SetCookie(w, &http.Cookie{
		Name: cookieName, Value: value, Path: "/", HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil,
	})
}

func (a *app) newToken(w http.ResponseWriter, r *http.Request, s session) {
	token, err := a.tokens.issue(s.user, "member")
	if err != nil {
		slog.Error("auth: no token", "error", err)
		http.Error(w, "no token", http.StatusInternalServerError)
		return
	}
	fmt.Fprint(w, token)
}

func (a *app) logout(w http.ResponseWriter, r *http.Request, s session) {
	n, err := a.revoke(r.Context(), s.user)
	if err != nil {
		slog.Error("auth: logout", "error", err)
	}
	fmt.Fprintf(w, "%d sockets closed\n", n)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to serve on")
	drain := flag.Duration("drain", 5*time.Second,
		"`time` over which the sockets are sent away when the program is to end")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	if err := serve(ctx, *addr, *drain); err != nil {
		slog.Error("auth", "error", err)
		os.Exit(1)
	}
}

// serve runs the app until ctx ends, and then sends its sockets away over some time.
func serve(ctx context.Context, addr string, drain time.Duration) error {
	a, handler := newApp(map[string]string{"ann": "secret", "bob": "hidden"})
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second, // of requests; sockets are the gateway's
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	fmt.Printf("auth: http://%s\n", ln.Addr())
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	// The server neither sees nor closes sockets, so the gateway goes first.
	end, cancel := context.WithTimeout(context.Background(), drain+10*time.Second)
	defer cancel()
	return errors.Join(a.gw.Drain(end, drain), a.gw.Shutdown(end), srv.Shutdown(end))
}
