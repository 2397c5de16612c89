package gateway

import (
	"net"
	"net/http"
	"reflect"
	"runtime"
	"sync"
	"unsafe"
)

// aloneWith reports whether nobody but net/http and this package can have got hold of the
// request's connection: no hook of the server was given it, no listener of the host's has
// accepted it, and no wrapper of the ResponseWriter hands it over.
func (h *Handler) aloneWith(r *http.Request, hj http.Hijacker) bool {
	srv, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	return srv != nil && srv.ConnContext == nil && srv.ConnState == nil &&
		reflect.TypeOf(hj).String() == "*http.response" && h.plainListeners(srv)
}

// The offsets in an http.Server of its listeners, and of the mutex around them. Nothing in the
// API of net/http tells them. Where a later version of Go has no such fields, every listener
// is taken for one that keeps what it accepts.
var (
	serverLocks     = fieldsOf[sync.Mutex](reflect.TypeFor[http.Server](), "mu")
	serverListeners = fieldsOf[map[*net.Listener]struct{}](reflect.TypeFor[http.Server](), "listeners")
)

// serverTries is how often the server's mutex is tried: it is held for moments in general, but
// also while a listener closes, which may wait for this request.
const serverTries = 100

// plainListeners reports whether all listeners of a server are those of package net, with
// or without TLS, which keep no connection.
func (h *Handler) plainListeners(srv *http.Server) bool {
	if len(serverLocks) == 0 || len(serverListeners) == 0 {
		return false
	}
	mu := (*sync.Mutex)(unsafe.Add(unsafe.Pointer(srv), serverLocks[0]))
	for tries := 0; !mu.TryLock(); tries++ {
		if tries == serverTries {
			return false
		}
		runtime.Gosched()
	}
	defer mu.Unlock()
	all := *(*map[*net.Listener]struct{})(unsafe.Add(unsafe.Pointer(srv), serverListeners[0]))
	for l := range all {
		if h.plain.Load() == l { // as for nearly all requests
			continue
		}
		if !isPlain(*l) {
			return false
		}
		h.plain.Store(l)
	}
	return len(all) > 0 // it has closed that of this request, else
}

// isPlain looks through what net/http and crypto/tls put around a listener.
func isPlain(l net.Listener) bool {
	for {
		switch l.(type) {
		case *net.TCPListener, *net.UnixListener:
			return true
		}
		switch v := reflect.ValueOf(l); v.Type().String() {
		case "*http.onceCloseListener", "*tls.listener":
			inner, ok := v.Elem().FieldByName("Listener").Interface().(net.Listener)
			if !ok {
				return false
			}
			l = inner
		default:
			return false
		}
	}
}
