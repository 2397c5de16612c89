package main

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// maxReport is how many bytes a device may report at once.
const maxReport = 64 << 10

// serveReport takes what a device reports over HTTP, any JSON at
// POST /api/devices/{identity}, and triggers the event "device2 event". The answer is
// what the handler returns.
func (a *app) serveReport(w http.ResponseWriter, r *http.Request) {
	var payload any
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxReport)).Decode(&payload)
	if err != nil {
		a.refuse(
			w,
			gateway.NewError(gateway.ErrInvalid, "JSON of at most %d bytes is expected", maxReport),
		)
		return
	}
	result, err := a.host.Trigger(r.Context(), "device2", "event", map[string]any{
		"identity": r.PathValue("identity"), "type": "data_in", "payload": payload,
	})
	var failure *lua.ScriptError
	switch {
	case errors.As(err, &failure): // its text is for the log, which has it
		a.refuse(w, gateway.NewError(gateway.ErrInternal, "the script of this event has failed"))
	case err != nil:
		a.refuse(w, err)
	default:
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(result) // fails only where the client has gone
	}
}

func (a *app) refuse(w http.ResponseWriter, err error) {
	e := gateway.ErrorOf(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	_ = json.NewEncoder(w).Encode(e) // fails only where the client has gone
}
