package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"

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
	sameOrigin.SetDenyHandler(answer(func(*http.Request) (any, error) { return nil, gateway.ErrForbidden }))
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
	var body struct{ Message, Type string }
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, maxBody)).Decode(&body); err != nil {
		return nil, badBody(err)
	}
	m := gateway.Text(body.Message)
	var err error
	if m.Type, err = gateway.ParseMessageType(body.Type); err != nil {
		return nil, err
	}
	if m.Type == gateway.MessageBinary {
		if m.Data, err = base64.StdEncoding.DecodeString(body.Message); err != nil {
			return nil, gateway.NewError(gateway.ErrInvalid, "message: %w", err)
		}
	}
	return nil, a.gw.Send(r.Context(), r.PathValue("id"), m)
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
