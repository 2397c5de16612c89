package main

import (
	"encoding/base64"
	"errors"
	"io"
	"net/http"

	"github.com/wsgateway/gateway"
)

// operations adds the five operations over plain HTTP.
func (l *lab) operations() {
	l.HandleFunc("GET /ops/list", l.list)
	l.HandleFunc("GET /ops/info", l.info)
	l.HandleFunc("POST /ops/send", l.send)
	l.HandleFunc("POST /ops/close", l.closeOne)
	l.HandleFunc("POST /ops/closeAll", l.closeAll)
}

func (l *lab) list(w http.ResponseWriter, r *http.Request) {
	ids, err := l.gw.List(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	if ids == nil {
		ids = []string{} // an array also when nobody is there
	}
	answer(w, ids)
}

func (l *lab) info(w http.ResponseWriter, r *http.Request) {
	info, err := l.gw.Info(r.Context(), r.URL.Query().Get("id"))
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, info)
}

func (l *lab) send(w http.ResponseWriter, r *http.Request) {
	m, err := message(w, r)
	if err == nil {
		err = l.gw.Send(r.Context(), r.URL.Query().Get("id"), m)
	}
	done(w, err)
}

func (l *lab) closeOne(w http.ResponseWriter, r *http.Request) {
	done(w, l.gw.Close(r.Context(), r.URL.Query().Get("id")))
}

func (l *lab) closeAll(w http.ResponseWriter, r *http.Request) {
	n, err := l.gw.CloseAll(r.Context())
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, n)
}

// done answers an operation that returns nothing.
func done(w http.ResponseWriter, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// maxBody bounds what is read of a request; a message may not be near it.
const maxBody = 32 << 20

// message makes a message of the request's body: text as it is, binary from
// base64.
func message(w http.ResponseWriter, r *http.Request) (gateway.Message, error) {
	typ, err := gateway.ParseMessageType(r.URL.Query().Get("type"))
	if err != nil {
		return gateway.Message{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return gateway.Message{}, gateway.ErrTooLarge
		}
		return gateway.Message{}, invalid("the body: " + err.Error())
	}
	if typ == gateway.MessageText {
		return gateway.Text(body), nil
	}
	data, err := base64.StdEncoding.DecodeString(string(body))
	if err != nil {
		return gateway.Message{}, invalid("the body of data-binary is not base64: " + err.Error())
	}
	return gateway.Binary(data), nil
}

func invalid(text string) error {
	return &gateway.Error{Type: gateway.ErrInvalid.Type, Message: text, Status: gateway.ErrInvalid.Status}
}
