package main

import (
	"encoding/json"
	"net/http"
	"path"

	"github.com/wsgateway/gateway"
)

// ServeHTTP passes to the gateway what ServeMux would answer with a redirect, or
// with a text of its own, because WebSocket clients do not follow redirects.
func (l *lab) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodConnect || path.Clean(r.URL.Path) != r.URL.Path {
		l.gw.ServeHTTP(w, r)
		return
	}
	l.mux.ServeHTTP(w, r)
}

// plain adds a page for one method. Others are refused with the error object.
func (l *lab) plain(method, pattern string, fn http.HandlerFunc) {
	l.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method && (method != http.MethodGet || r.Method != http.MethodHead) {
			w.Header().Set("Allow", method)
			refuse(w, gateway.NewError(gateway.ErrMethod, "this page is for %s", method))
			return
		}
		fn(w, r)
	})
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) { reply(w, http.StatusOK, v) }

// refuse sends err as the error object, under its status.
func refuse(w http.ResponseWriter, err error) {
	e := gateway.ErrorOf(err)
	reply(w, e.Status, e)
}

func reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // what is answered here always marshals
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a caller that has gone needs no answer
}

func invalid(text string) error {
	return gateway.NewError(gateway.ErrInvalid, "%s", text)
}
