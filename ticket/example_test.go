package ticket_test

import (
	"fmt"
	"net/http"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/ticket"
)

// The page's own request, which a session's cookie authenticates, gets a ticket for one
// socket.
func Example() {
	tickets := ticket.New(nil)
	gw := gateway.New(&gateway.Options{Authorize: tickets.Authorize})
	gw.HandleRoute(gateway.Route{
		Pattern: "/chat", Subprotocols: []string{"chat.v1"}, Endpoint: gateway.Callbacks{},
	})

	mux := http.NewServeMux()
	mux.Handle("/chat", gw)
	mux.HandleFunc("POST /ticket", func(w http.ResponseWriter, r *http.Request) {
		cookie, err := r.Cookie("session")
		if err != nil {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		t, err := tickets.Issue(ticket.Claims{
			User:   "user of session " + cookie.Value,
			Route:  "/chat",
			Origin: r.Header.Get("Origin"),
		})
		if err != nil {
			http.Error(w, "no ticket", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		fmt.Fprint(w, t)
	})
	_ = http.Server{Handler: tickets.Wrap(mux)} // outside of what logs requests
}
