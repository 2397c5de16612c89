package gateway_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/wsgateway/gateway"
)

// Middleware wraps the endpoints of all routes. This one takes text only.
func ExampleHandler_Use() {
	onlyText := func(next gateway.Endpoint) gateway.Endpoint {
		return gateway.EndpointFunc(func(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
			if ev.Message.Type == gateway.MessageBinary {
				return &gateway.CloseError{Code: 1003, Reason: "text only"}
			}
			return next.ServeEvent(ctx, s, ev)
		})
	}
	gw := gateway.New(nil)
	gw.Use(onlyText)
	gw.Handle("/", gateway.Callbacks{})

	page := browse(gw, "/")
	defer page.leave()
	page.Send(gateway.Binary([]byte{0xff}))
	fmt.Println(page.end())
	// Output:
	// closed with 1003 "text only"
}

// Authorize sees the request before the upgrade. What it attaches is what the
// endpoint knows of the client.
func ExampleAdmission() {
	ctx := context.Background()
	gw := gateway.New(&gateway.Options{
		Authorize: func(r *http.Request) (*gateway.Admission, error) {
			user := r.URL.Query().Get("token") // in earnest: look up a session
			if user == "" {
				return nil, gateway.ErrUnauthorized
			}
			return &gateway.Admission{
				Values:  map[string]string{"user": user},
				Groups:  []string{"user:" + user},
				Expires: time.Now().Add(time.Hour),
			}, nil
		},
	})
	gw.Handle("/me", gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			return s.Send(ctx, gateway.Text("you are "+s.Value("user")))
		},
	})
	page := browse(gw, "/me?token=ada")
	defer page.leave()
	fmt.Println(page.hear())
	fmt.Println(gw.Group("user:ada").Len(ctx)) // all sockets of one user
	// Output:
	// you are ada
	// 1 <nil>
}

// An endpoint's verdict on its own socket is what it returns.
func ExampleCloseError() {
	gw := gateway.New(nil)
	gw.Handle("/quiz", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			if string(m.Data) != "42" {
				return &gateway.CloseError{Code: 4000, Reason: "wrong answer"}
			}
			return s.Send(ctx, gateway.Text("right"))
		},
	})
	page := browse(gw, "/quiz")
	defer page.leave()
	page.say("42")
	fmt.Println(page.hear())
	page.say("43")
	fmt.Println(page.end())
	// Output:
	// right
	// closed with 4000 "wrong answer"
}

// State that belongs to one socket needs no lock: its events never overlap.
func ExamplePerSocket() {
	gw := gateway.New(nil)
	gw.Handle("/count",
		gateway.PerSocket(func(context.Context, *gateway.Socket) (gateway.Endpoint, error) {
			n := 0
			return gateway.Callbacks{
				OnData: func(ctx context.Context, s *gateway.Socket, _ gateway.Message) error {
					n++
					return s.Send(ctx, gateway.Text(fmt.Sprint(n)))
				},
			}, nil
		}))
	page := browse(gw, "/count")
	defer page.leave()
	page.say("tick")
	page.say("tick")
	fmt.Println(page.hear(), page.hear())
	// Output:
	// 1 2
}

// Go runs a pusher that ends with the socket.
func ExampleSocket_Go() {
	gw := gateway.New(nil)
	gw.Handle("/countdown", gateway.Callbacks{
		OnOpen: func(_ context.Context, s *gateway.Socket) error {
			s.Go(func(ctx context.Context) error {
				for n := range 3 {
					if err := s.Send(ctx, gateway.Text(fmt.Sprint(3-n))); err != nil {
						return err
					}
				}
				return &gateway.CloseError{Code: 1000, Reason: "lift-off"}
			})
			return nil
		},
	})
	page := browse(gw, "/countdown")
	defer page.leave()
	fmt.Println(page.hear(), page.hear(), page.hear())
	fmt.Println(page.end())
	// Output:
	// 3 2 1
	// closed with 1000 "lift-off"
}

// Routes of one owner are exchanged in one step while the gateway serves.
func ExampleHandler_Replace() {
	gw := gateway.New(nil)
	routes := func(version string) []gateway.Route {
		return []gateway.Route{{Pattern: "/version", Endpoint: gateway.Callbacks{
			OnOpen: func(ctx context.Context, s *gateway.Socket) error {
				return s.Send(ctx, gateway.Text(version))
			},
		}}}
	}
	fmt.Println(gw.Replace("plugin", routes("1")))
	old := browse(gw, "/version")
	defer old.leave()
	fmt.Println(gw.Replace("plugin", routes("2"))) // who is connected stays on version 1
	page := browse(gw, "/version")
	defer page.leave()
	fmt.Println(old.hear(), page.hear())

	gw.Replace("plugin", nil)
	fmt.Println(old.end())
	// Output:
	// <nil>
	// <nil>
	// 1 2
	// closed with 1012 "route_removed"
}

// A route may have limits, subprotocols and an Authorize of its own.
func ExampleRoute() {
	gw := gateway.New(&gateway.Options{Logger: slog.New(slog.DiscardHandler)})
	gw.HandleRoute(gateway.Route{
		Pattern:      "/upload/{name}",
		Endpoint:     gateway.Callbacks{},
		Subprotocols: []string{"upload.v2", "upload.v1"},
		Limits:       gateway.Limits{ReadLimit: 3},
	})
	page := browse(gw, "/upload/notes")
	defer page.leave()
	page.say("more")
	fmt.Println(page.end())
	// Output:
	// closed with 1009 "too_large"
}

// The default lets 5 messages a second in and delays what is above. Here it is
// one a minute, and who sends more is cut off.
func ExampleLimits() {
	gw := gateway.New(&gateway.Options{
		Logger: slog.New(slog.DiscardHandler),
		Limits: gateway.Limits{
			MessagesPerSecond: 1.0 / 60,
			Burst:             2,
			OnRateExceeded:    gateway.RateClose,
		},
	})
	gw.Handle("/", gateway.Callbacks{})
	page := browse(gw, "/")
	defer page.leave()
	page.say("one")
	page.say("two")
	page.say("three")
	fmt.Println(page.end())
	// Output:
	// closed with 1008 "rate_limited"
}
