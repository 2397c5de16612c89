package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/wsgateway/gateway"
)

// A gateway with one endpoint, mounted like any other http.Handler.
func Example() {
	gw := gateway.New(nil)
	gw.Handle("/hello/{name}", gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			return s.Send(ctx, gateway.Text("hello "+s.PathValue("name")))
		},
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m) // an echo
		},
	})
	mux := http.NewServeMux()
	mux.Handle("/", gw) // and then http.ListenAndServe("127.0.0.1:8080", mux)

	page := browse(gw, "/hello/Ada")
	defer page.leave()
	fmt.Println(page.hear())
	page.say("how are you?")
	fmt.Println(page.hear())
	// Output:
	// hello Ada
	// how are you?
}

func ExampleHandler_Send() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.Handle("/inbox", gateway.Callbacks{})
	page := browse(gw, "/inbox")
	defer page.leave()

	ids, _ := gw.List(ctx)
	fmt.Println(gw.Send(ctx, ids[0], gateway.Text("you have mail")))
	fmt.Println(page.hear())

	// Who has left cannot be sent to.
	err := gw.Send(ctx, "nobody", gateway.Text("are you there?"))
	fmt.Println(errors.Is(err, gateway.ErrNotFound), err)
	// Output:
	// <nil>
	// you have mail
	// true not_found: no socket has this id
}

// SendSync returns when the message is handed to the operating system.
func ExampleHandler_SendSync() {
	gw := gateway.New(nil)
	gw.Handle("/inbox", gateway.Callbacks{})
	page := browse(gw, "/inbox")
	defer page.leave()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ids, _ := gw.List(ctx)
	fmt.Println(gw.SendSync(ctx, ids[0], gateway.Binary([]byte{1, 2, 3})))
	fmt.Println(page.Receive().Data)
	// Output:
	// <nil>
	// [1 2 3]
}

func ExampleHandler_CloseWith() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.Handle("/game", gateway.Callbacks{
		OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) {
			fmt.Println("close event:", c.Cause, c.Code, c.Reason)
		},
	})
	page := browse(gw, "/game")

	ids, _ := gw.List(ctx)
	fmt.Println(gw.CloseWith(ctx, ids[0], 4001, "you have lost"))
	fmt.Println(page.end())
	page.leave()
	// Unordered output:
	// <nil>
	// close event: operation 4001 you have lost
	// closed with 4001 "you have lost"
}

func ExampleHandler_CloseAll() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.Handle("/", gateway.Callbacks{})
	page := browse(gw, "/")
	defer page.leave()

	n, err := gw.CloseAll(ctx)
	fmt.Println(n, err)
	fmt.Println(page.end())
	// Output:
	// 1 <nil>
	// closed with 1000 "operation"
}

// The info of a socket marshals to JSON with credentials redacted.
func ExampleHandler_Info() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.Handle("/rooms/{room}", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		},
	})
	page := browse(gw, "/rooms/blue?color=dark&color=light")
	defer page.leave()
	page.say("hello")
	page.hear()

	ids, _ := gw.List(ctx)
	info, err := gw.Info(ctx, ids[0])
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(info.Last.Type, info.Route, info.URI)
	fmt.Printf("%s\n", info.Last.Message.Data)

	var object map[string]any
	text, _ := json.Marshal(info)
	json.Unmarshal(text, &object)
	fmt.Println(object["type"], object["message"], object["message_type"], object["parameters"])
	// Output:
	// data /rooms/{room} ws://gateway.test/rooms/blue?color=dark&color=light
	// hello
	// data hello data-text map[color:[dark light] room:blue]
}

func ExampleHandler_ListSeq() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.Handle("/", gateway.Callbacks{})
	page := browse(gw, "/")
	defer page.leave()

	for id, err := range gw.ListSeq(ctx) {
		if err != nil { // of a node that does not answer; always the last
			fmt.Println(err)
			break
		}
		fmt.Println(gw.Send(ctx, id, gateway.Text("hello, whoever you are")))
	}
	fmt.Println(page.hear())
	// Output:
	// <nil>
	// hello, whoever you are
}

// A chat room: who opens a socket joins, who speaks is heard by the others.
func ExampleHandler_Group() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.Handle("/rooms/{room}", gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			room := s.PathValue("room")
			if err := gw.Group(room).Join(ctx, s.ID()); err != nil {
				return err
			}
			return s.Send(ctx, gateway.Text("welcome to "+room))
		},
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			_, err := gw.Group(s.PathValue("room")).Except(s.ID()).Send(ctx, m)
			return err
		},
	})
	ada, bob, eve := browse(gw, "/rooms/blue"), browse(gw, "/rooms/blue"), browse(gw, "/rooms/red")
	defer ada.leave()
	defer bob.leave()
	defer eve.leave()
	fmt.Println(ada.hear(), bob.hear(), eve.hear())

	ada.say("hello, Bob")
	fmt.Println(bob.hear())
	fmt.Println(gw.Groups(ctx))
	fmt.Println(gw.All().Send(ctx, gateway.Text("the house closes"))) // to every socket
	fmt.Println(eve.hear())
	// Output:
	// welcome to blue welcome to blue welcome to red
	// hello, Bob
	// [blue red] <nil>
	// 3 <nil>
	// the house closes
}

// Members says who is in a group. Here they are put into it by Authorize.
func ExampleGroup_Members() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.HandleRoute(gateway.Route{
		Pattern: "/rooms/{room}",
		Authorize: func(r *http.Request) (*gateway.Admission, error) {
			return &gateway.Admission{
				Values: map[string]string{"name": r.URL.Query().Get("name")},
				Groups: []string{"room:" + r.PathValue("room")},
			}, nil
		},
		Endpoint: gateway.Callbacks{},
	})
	ada := browse(gw, "/rooms/blue?name=Ada")
	defer ada.leave()

	for m, err := range gw.Group("room:blue").Members(ctx) {
		fmt.Println(m.Values["name"], err)
	}
	// Output:
	// Ada <nil>
}

// OnRefused tells who did not accept a message, and why.
func ExampleGroup_OnRefused() {
	ctx := context.Background()
	gw := gateway.New(&gateway.Options{Limits: gateway.Limits{SendLimit: 10}})
	gw.Handle("/", gateway.Callbacks{})
	page := browse(gw, "/")
	defer page.leave()

	n, err := gw.All().OnRefused(func(id string, err error) {
		fmt.Println("refused:", gateway.ErrorOf(err).Type)
	}).Send(ctx, gateway.Text("more than ten bytes"))
	fmt.Println(n, err)
	// Output:
	// refused: too_large
	// 0 <nil>
}

// A request that does not become a socket is answered with the error object.
func ExampleError() {
	gw := gateway.New(nil)
	gw.Handle("/echo", gateway.Callbacks{})
	w := httptest.NewRecorder()
	gw.ServeHTTP(w, httptest.NewRequest("GET", "/ecco", nil))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 404 {"type":"no_route","error":"no route for this path","status":404}
}

// ErrorOf turns any error into the error object.
func ExampleErrorOf() {
	e := gateway.ErrorOf(fmt.Errorf("reading the page: %w", context.DeadlineExceeded))
	text, _ := json.Marshal(&e)
	fmt.Println(string(text))
	// Output:
	// {"type":"timeout","error":"reading the page: context deadline exceeded","status":504}
}

// A message with a key takes the place of an older one that still waits.
func ExampleMessage() {
	ctx := context.Background()
	gw := gateway.New(nil)
	gw.Handle("/prices", gateway.Callbacks{})
	page := browse(gw, "/prices")
	defer page.leave()

	price, err := gateway.JSON(map[string]any{"share": "ACME", "price": 7})
	if err != nil {
		fmt.Println(err)
		return
	}
	price.Key = "ACME"
	fmt.Println(gw.All().Send(ctx, price))
	fmt.Println(page.hear())
	// Output:
	// 1 <nil>
	// {"price":7,"share":"ACME"}
}

// What a program does when it is told to end: first the gateway, then the server.
func ExampleHandler_Shutdown() {
	gw := gateway.New(nil)
	gw.Handle("/", gateway.Callbacks{
		OnClose: func(_ context.Context, _ *gateway.Socket, c gateway.Closed) {
			fmt.Println("close event:", c.Cause)
		},
	})
	page := browse(gw, "/")
	defer page.leave()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	fmt.Println(gw.Shutdown(ctx)) // and then srv.Shutdown(ctx) of the http.Server
	fmt.Println(page.end())
	// Output:
	// close event: drain
	// <nil>
	// closed with 1001 "drain"
}

func ExampleHandler_ServeHealth() {
	gw := gateway.New(nil)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v1/solution/health", gw.ServeHealth)

	ask := func() {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/solution/health", nil))
		fmt.Println(w.Code, w.Body)
	}
	ask()
	gw.SetReady(false)
	ask()
	// Output:
	// 200 OK
	// 503 not ready
}

func ExampleHandler_Stats() {
	gw := gateway.New(nil)
	gw.Handle("/echo", gateway.Callbacks{
		OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			return s.Send(ctx, m)
		},
	})
	page := browse(gw, "/echo")
	page.say("hello")
	page.hear()
	page.Close(1000, "bye")
	page.leave()

	st := gw.Stats()
	fmt.Println(st.Opened, "opened,", st.Open, "open,", st.Closed)
	fmt.Println(st.MessagesIn, "in,", st.MessagesOut, "out,", st.BytesOut, "bytes out")
	// Output:
	// 1 opened, 0 open, map[client:1]
	// 1 in, 1 out, 5 bytes out
}

// An Info logs without what may be secret.
func ExampleInfo_LogValue() {
	log := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	info := gateway.Info{
		SocketID: "s1", Route: "/rooms", RemoteAddr: "192.0.2.1:1234",
		URI:  "wss://example.com/rooms?token=secret",
		Last: gateway.Event{Type: gateway.EventOpen},
	}
	log.Info("hello", "by", info)
	// Output:
	// level=INFO msg=hello by.socket_id=s1 by.route=/rooms by.remote_addr=192.0.2.1:1234 by.type=open
}
