// Package luatest runs one event through a solution, for the tests of those who
// write scripts.
//
// The solution is deployed on a gateway of its own and the event comes from a
// socket of package gatewaytest, so everything is as in the real gateway: routes,
// parameters, groups, operations. For more than one socket, or a course of
// events, use gatewaytest itself.
package luatest

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"testing/fstest"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
	"github.com/wsgateway/gateway/lua"
)

// An Event is what happens to the socket. Only Path is needed.
type Event struct {
	// Type of the event; zero means gateway.EventData. The events that come
	// before it on every socket, as the open event before a data event, run too,
	// but are no part of the Result.
	Type gateway.EventType

	// Path is that of the upgrade request, with its query, as in
	// "/rooms/kitchen?user=ada". The script finds both in its parameters.
	Path string

	// Header is added to that of the upgrade request.
	Header http.Header

	// Message of a data event; the zero Message means an empty text.
	Message gateway.Message

	// CloseCode and CloseReason of the client's close frame, for a close event.
	// Zero means 1000.
	CloseCode   int
	CloseReason string
}

// A Result is what came of an event.
type Result struct {
	SocketID string // of the socket that the event came from

	// Replies are the messages that the socket has got, in order, whether
	// returned, sent by websocketInfo.send or by Websocket.send.
	Replies []gateway.Message

	// Closed reports whether the event has closed the socket, with CloseCode and
	// CloseReason.
	Closed      bool
	CloseCode   int
	CloseReason string

	// Logs are what the script has printed and logged, in order.
	Logs []Log

	// Err is the failure of the script, "FILE:LINE: text", or nil.
	Err error
}

// Texts returns the replies as strings.
func (r Result) Texts() []string {
	var texts []string
	for _, m := range r.Replies {
		texts = append(texts, string(m.Data))
	}
	return texts
}

// A Log is a line that a script has printed or logged.
type Log struct {
	Level slog.Level // print is info
	Text  string     // what it printed or logged
	File  string     // of the script, as in the solution
	Line  int        // in File
}

// Files makes a file system of names and texts, in turns, as in
// Files("endpoints/echo.lua", "--#ENDPOINT WEBSOCKET /echo\nreturn websocketInfo.message").
func Files(nameText ...string) fs.FS {
	if len(nameText)%2 != 0 {
		panic("luatest: Files: a name without a text")
	}
	fsys := fstest.MapFS{}
	for i := 0; i < len(nameText); i += 2 {
		fsys[nameText[i]] = &fstest.MapFile{Data: []byte(nameText[i+1])}
	}
	return fsys
}

// Run deploys the solution in fsys, brings the event about and returns what came
// of it. The options are as for [lua.New], but for the logger, which is not used;
// nil means the defaults.
//
// The error is that of the deployment, of type [lua.Problems] if something is
// wrong with the solution, or says why the event could not come about: no route
// for the path, say, or a socket that closed before. The failure of a script is
// no error of Run, but the Result's.
func Run(fsys fs.FS, opts *lua.Options, ev Event) (result Result, err error) {
	var t tb
	defer t.end(&err)
	if ev.Type == 0 {
		ev.Type = gateway.EventData
	}
	o := lua.Options{}
	if opts != nil {
		o = *opts
	}
	rec := &recorder{want: ev.Type, done: make(chan struct{}), missed: make(chan struct{})}
	o.Logger = slog.New(rec)
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler),
		Limits: gateway.Limits{MessagesPerSecond: -1}})
	if _, err := lua.New(watched{gw, rec}, &o).Deploy(context.Background(), fsys); err != nil {
		return Result{}, err
	}
	p, err := dial(&t, gatewaytest.NewServer(&t, gw), ev)
	if err != nil {
		return Result{}, err
	}
	happen(p, ev)
	select {
	case <-rec.done:
		return rec.result(p), nil
	case <-rec.missed:
		return Result{}, fmt.Errorf("luatest: the socket closed before the %s event", ev.Type)
	}
}

func dial(t *tb, srv *gatewaytest.Server, ev Event) (*gatewaytest.Peer, error) {
	r, err := http.NewRequest(http.MethodGet, "http://gateway.test"+ev.Path, nil)
	if err != nil {
		return nil, fmt.Errorf("luatest: %w", err)
	}
	for name, values := range ev.Header {
		r.Header[name] = values
	}
	p, resp := srv.DialRequest(t, r)
	if p == nil {
		return nil, fmt.Errorf("luatest: %s: the gateway answered %s", ev.Path, resp.Status)
	}
	return p, nil
}

// happen does what makes the event. That the socket has closed before is not its to
// tell: the recorder knows.
func happen(p *gatewaytest.Peer, ev Event) {
	defer func() {
		if v := recover(); v != nil {
			if _, failed := v.(failure); !failed {
				panic(v)
			}
		}
	}()
	switch ev.Type {
	case gateway.EventData:
		m := ev.Message
		if m.Type == 0 {
			m.Type = gateway.MessageText
		}
		p.Send(m)
	case gateway.EventClose:
		code := ev.CloseCode
		if code == 0 {
			code = 1000
		}
		p.Close(code, ev.CloseReason)
	}
}
