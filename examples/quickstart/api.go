package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
)

const (
	maxListed = 200     // sockets in one answer
	maxBody   = 4 << 20 // bytes; the gateway's own limit of a message is below
)

// operations is the JSON API over the operations of the gateway:
//
//	GET    /api/sockets            {"total": n, "sockets": [info, ...]}
//	DELETE /api/sockets            closeAll: the number of sockets
//	GET    /api/sockets/{id}       info
//	DELETE /api/sockets/{id}       close
//	POST   /api/sockets/{id}/send  send: {"message": "...", "type": "data-text"};
//	                               the message of "data-binary" is base64
//
// Every failure is an error object {"type", "error", "status"}.
func operations(gw *gateway.Handler) http.Handler {
	a := api{gw}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/sockets", answer(a.list))
	mux.HandleFunc("DELETE /api/sockets", answer(a.closeAll))
	mux.HandleFunc("GET /api/sockets/{id}", answer(a.info))
	mux.HandleFunc("DELETE /api/sockets/{id}", answer(a.close))
	mux.HandleFunc("POST /api/sockets/{id}/send", answer(a.send))

	// A page of another site must not close our sockets in its visitor's name.
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(answer(func(*http.Request) (any, error) {
		return nil, gateway.ErrForbidden
	}))
	return sameOrigin.Handler(mux)
}

type api struct{ gw *gateway.Handler }

func (a api) list(r *http.Request) (any, error) {
	ids, err := a.gw.List(r.Context())
	if err != nil {
		return nil, err
	}
	infos := make([]gateway.Info, 0, min(len(ids), maxListed))
	for _, id := range ids[:min(len(ids), maxListed)] {
		if info, err := a.gw.Info(r.Context(), id); err == nil { // else closed meanwhile
			infos = append(infos, info)
		}
	}
	return map[string]any{"total": len(ids), "sockets": infos}, nil
}

func (a api) info(r *http.Request) (any, error) {
	return a.gw.Info(r.Context(), r.PathValue("id"))
}

func (a api) send(r *http.Request) (any, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, badBody(err)
	}
	m, err := parseMessage(body)
	if err != nil {
		return nil, err
	}
	return nil, a.gw.Send(r.Context(), r.PathValue("id"), m)
}

// parseMessage reads the body of a send. What it does not know, or what is not text, is
// refused and not replaced: package json would take "msg" for nothing, null for an empty
// message, and bytes that are not UTF-8 for U+FFFD.
func parseMessage(body []byte) (m gateway.Message, err error) {
	var fields struct {
		Message *string
		Type    string
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&fields); err != nil {
		return m, badBody(err)
	}
	_, more := d.Token()
	switch {
	case more != io.EOF:
		return m, gateway.NewError(gateway.ErrInvalid, "body: something follows the object")
	case fields.Message == nil:
		return m, gateway.NewError(gateway.ErrInvalid, "body: there is no message")
	case !utf8.Valid(body) || halfCharacter(body):
		return m, gateway.NewError(gateway.ErrInvalid, "body: not UTF-8, or half of a character")
	}
	m = gateway.Text(*fields.Message)
	if m.Type, err = gateway.ParseMessageType(fields.Type); err != nil {
		return m, err
	}
	if m.Type == gateway.MessageBinary {
		if m.Data, err = base64.StdEncoding.DecodeString(*fields.Message); err != nil {
			return m, gateway.NewError(gateway.ErrInvalid, "message: %w", err)
		}
	}
	return m, nil
}

// halfCharacter reports whether JSON has an escape that is one half of a surrogate pair
// without the other.
func halfCharacter(b []byte) bool {
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		first := escaped(b[i:])
		i++ // what is escaped may be a backslash
		if !utf16.IsSurrogate(first) {
			continue
		}
		if i+5 > len(b) || utf16.DecodeRune(first, escaped(b[i+5:])) == utf8.RuneError {
			return true
		}
		i += 5 + 5
	}
	return false
}

// escaped returns the unit of the \uXXXX at the beginning of b, or 0.
func escaped(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	n, _ := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n)
}

func (a api) close(r *http.Request) (any, error) {
	return nil, a.gw.Close(r.Context(), r.PathValue("id"))
}

func (a api) closeAll(r *http.Request) (any, error) { return a.gw.CloseAll(r.Context()) }

func badBody(err error) error {
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return gateway.ErrTooLarge
	}
	return gateway.NewError(gateway.ErrInvalid, "body: %w", err)
}

// answer writes what fn returns: 204 for nil, JSON for a value, and for an error
// its error object with its status.
func answer(fn func(r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := fn(r)
		status := http.StatusOK
		if err != nil {
			e := gateway.ErrorOf(err)
			v, status = e, e.Status
		}
		w.Header().Set("Cache-Control", "no-store")
		if v == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(v) // fails only where the client has gone
	}
}
