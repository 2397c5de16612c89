package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"strings"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua"
	"github.com/wsgateway/gateway/lua/httpclient"
)

// errProblems says that a solution cannot be deployed; what is wrong has been
// printed.
var errProblems = errors.New("the solution has problems")

// check deploys a solution where nobody can connect. Problems go to stdout, one
// a line; warnings, and what modules print, to stderr.
func check(ctx context.Context, files fs.FS, stdout, stderr io.Writer) error {
	logger := slog.New(slog.NewTextHandler(stderr, nil))
	gw := gateway.New(&gateway.Options{Logger: logger})
	t, http := newTimers(), httpclient.New(nil)
	host := lua.New(gw, options(logger, t, http))
	t.trigger = host.Trigger // before scripts can set any
	deployed, err := host.Deploy(ctx, files)
	for _, w := range deployed.Warnings {
		fmt.Fprintf(stderr, "warning: %s\n", oneLine(w))
	}
	for _, p := range problemsOf(err) {
		fmt.Fprintln(stdout, oneLine(p))
	}
	if err != nil {
		err = errProblems
	}
	err = errors.Join(err, gw.Shutdown(ctx))
	t.close()
	return errors.Join(err, host.Shutdown(ctx))
}

// problemsOf returns what is wrong with a solution that could not be deployed.
func problemsOf(err error) []lua.Problem {
	var problems lua.Problems
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		return problems
	}
	return []lua.Problem{{File: ".", Line: 1, Text: err.Error()}}
}

// oneLine returns "FILE:LINE: text" without line breaks.
func oneLine(p lua.Problem) string {
	return strings.Join(strings.FieldsFunc(p.String(),
		func(r rune) bool { return r == '\n' || r == '\r' }), " ")
}
