package luatest

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
)

// A Triggered is what came of an event that is none of a socket's.
type Triggered struct {
	// Value is what the handler has returned, as encoding/json would have it.
	Value any

	// Logs are what the script has printed and logged, in order.
	Logs []Log

	// Err is the failure of the script, or nil.
	Err *lua.ScriptError
}

// Trigger deploys the solution in fsys, triggers an event and returns what came of it,
// as [lua.Host.Trigger] does. No socket is open. Options are as for [Run].
//
// The error is that of the deployment, or says why no handler ran: not_found, if the
// solution has none. The failure of a script is no error of Trigger, but the result's.
func Trigger(fsys fs.FS, opts *lua.Options, service, event string, arg any) (Triggered, error) {
	o := lua.Options{}
	if opts != nil {
		o = *opts
	}
	rec := &recorder{done: make(chan struct{}), missed: make(chan struct{})}
	o.Logger = slog.New(rec)
	ctx := context.Background()
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	host := lua.New(gw, &o)
	_, err := host.Deploy(ctx, fsys)
	if err != nil {
		return Triggered{}, err
	}
	rec.begin("")
	value, err := host.Trigger(ctx, service, event, arg)
	rec.end(false)
	t := Triggered{Value: value, Logs: rec.logs}
	if errors.As(err, &t.Err) {
		err = nil
	}
	return t, errors.Join(err, gw.Shutdown(ctx), host.Shutdown(ctx))
}
