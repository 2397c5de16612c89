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
	l.plain("GET", "/ops/list", l.list)
	l.plain("GET", "/ops/info", l.info)
	l.plain("POST", "/ops/send", l.send)
	l.plain("POST", "/ops/close", l.closeOne)
	l.plain("POST", "/ops/closeAll", l.closeAll)
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
	m, err := l.message(w, r)
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

// message makes a message of the request's body: text as it is, binary from
// base64. What is read is bounded well above the limit of any socket, which the
// gateway checks.
func (l *lab) message(w http.ResponseWriter, r *http.Request) (gateway.Message, error) {
	typ, err := gateway.ParseMessageType(r.URL.Query().Get("type"))
	if err != nil {
		return gateway.Message{}, err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max(32<<20, 2*l.limit)))
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
