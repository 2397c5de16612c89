package main

import (
	"embed"
	"io/fs"
	"log/slog"
	"net/http"
	"time"
)

//go:embed page
var files embed.FS

// pages serves the app's page.
func pages() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // the name is that of the embedded directory
	}
	return http.FileServerFS(page)
}

// secureHeaders lets the page load only what is its own.
func secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy",
			"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
				"base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		next.ServeHTTP(w, r)
	})
}

// logRequests logs what changed something or failed; reads only at level debug.
func logRequests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w, status: http.StatusSwitchingProtocols}
		next.ServeHTTP(rec, r)
		level := slog.LevelInfo
		if r.Method == http.MethodGet && rec.status < 400 && rec.status >= 200 {
			level = slog.LevelDebug
		}
		slog.Log(r.Context(), level, "request", "method", r.Method, "path", r.URL.Path,
			"status", rec.status, "took", time.Since(start).Round(time.Microsecond))
	})
}

// A recorder notes the status of an answer. Nothing is written through it after
// an upgrade, so the status it begins with stays.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader notes the status.
func (rec *recorder) WriteHeader(status int) {
	rec.status = status
	rec.ResponseWriter.WriteHeader(status)
}

// Write sets the status 200, as any ResponseWriter does, where none was set.
func (rec *recorder) Write(b []byte) (int, error) {
	if rec.status < 200 {
		rec.status = http.StatusOK
	}
	return rec.ResponseWriter.Write(b)
}

// Unwrap is how the gateway, and http.ResponseController, find the connection
// behind a wrapper. Without it an upgrade is answered with 500.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.ResponseWriter }
