package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway"
)

// A lab is the gateway with its routes, and the plain pages around it.
type lab struct {
	mux     *http.ServeMux
	gw      *gateway.Handler
	journal *journal
	limit   int64 // of /echo
}

func newLab(cfg config, logger *slog.Logger) *lab {
	gw := gateway.New(&gateway.Options{
		Logger:            logger,
		Compression:       cfg.deflate,
		MaxSockets:        -1,
		MaxSocketsPerAddr: -1,
		Limits:            gateway.Limits{MessagesPerSecond: -1, PingInterval: cfg.ping},
	})
	l := &lab{http.NewServeMux(), gw, newJournal(), cfg.limit}
	gw.Use(l.journal.record)
	for _, rt := range socketRoutes(cfg) {
		rt.Subprotocols = []string{"lab.v1"}
		gw.HandleRoute(rt)
	}
	l.mux.Handle("/", gw)
	l.plain("GET", "/api/v1/solution/health", gw.ServeHealth)
	l.plain("GET", "/stats", l.stats)
	l.plain("GET", "/events", l.events)
	l.operations()
	return l
}

func socketRoutes(cfg config) []gateway.Route {
	echo := gateway.Callbacks{OnData: echoBack}
	rate := func(p gateway.RatePolicy) gateway.Limits {
		return gateway.Limits{MessagesPerSecond: 5, Burst: 5, OnRateExceeded: p}
	}
	return []gateway.Route{
		{Pattern: "/echo", Endpoint: echo,
			Limits: gateway.Limits{ReadLimit: cfg.limit, SendLimit: cfg.limit}},
		{Pattern: "/rate", Endpoint: echo, Limits: rate(gateway.RateDelay)},
		{Pattern: "/rate/drop", Endpoint: echo, Limits: rate(gateway.RateDrop)},
		{Pattern: "/rate/close", Endpoint: echo, Limits: rate(gateway.RateClose)},
		{Pattern: "/flood", Endpoint: gateway.Callbacks{OnOpen: flood}},
		{Pattern: "/info/{x}", Endpoint: gateway.EndpointFunc(showInfo)},
		{Pattern: "/panic", Endpoint: gateway.Callbacks{OnData: panics}},
		{Pattern: "/sleep", Endpoint: gateway.Callbacks{OnData: sleep}},
		{Pattern: "/verdict", Endpoint: gateway.Callbacks{OnData: verdict}},
		{Pattern: "/hello", Endpoint: gateway.Callbacks{OnOpen: welcome}},
	}
}

func echoBack(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
	return s.Send(ctx, m)
}

func welcome(ctx context.Context, s *gateway.Socket) error {
	return s.Send(ctx, gateway.Text("welcome"))
}

// flood sends without end, as fast as the client reads.
func flood(_ context.Context, s *gateway.Socket) error {
	m := gateway.Binary(bytes.Repeat([]byte("flood..."), 4096/8))
	s.Go(func(ctx context.Context) error {
		for {
			if err := s.Send(ctx, m); errors.Is(err, gateway.ErrClosed) {
				return nil // which is how a flood ends
			} else if err != nil {
				return err
			}
		}
	})
	return nil
}

// showInfo answers a message with everything about its socket, credentials too:
// it is the socket's own endpoint.
func showInfo(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
	if ev.Type != gateway.EventData {
		return nil
	}
	info := s.Info()
	info.Last, info.LastSize = ev, len(ev.Message.Data)
	b, err := info.JSONWithCredentials()
	if err != nil {
		return err
	}
	return s.Send(ctx, gateway.Text(b))
}

func panics(context.Context, *gateway.Socket, gateway.Message) error {
	panic("the lab was asked to")
}

// sleep is busy for the number of milliseconds that the message says.
func sleep(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
	ms, err := strconv.Atoi(strings.TrimSpace(string(m.Data)))
	if err != nil {
		return &gateway.CloseError{Code: 1007, Reason: "a number of milliseconds, please"}
	}
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return s.Send(ctx, m)
	case <-ctx.Done():
		return nil
	}
}

// verdict closes as the message says.
func verdict(_ context.Context, _ *gateway.Socket, m gateway.Message) error {
	var v struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	}
	if err := json.Unmarshal(m.Data, &v); err != nil {
		return fmt.Errorf("verdict: %w", err)
	}
	return &gateway.CloseError{Code: v.Code, Reason: v.Reason}
}
