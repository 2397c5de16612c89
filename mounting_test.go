package gateway_test

import (
	"bufio"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
)

// The URI is as the client sent it, whatever form its target has and StripPrefix made
// of it.
func TestURIAsSent(t *testing.T) {
	for target, want := range map[string]string{
		"/p/x":                            "/p/x",
		"/p/x?":                           "/p/x?",
		"/p/x?a=/b%2Fc":                   "/p/x?a=/b%2Fc",
		"/p/%78":                          "/p/%78",
		"http://gateway.test/p/x":         "/p/x",
		"http://gateway.test/p/x?a=://":   "/p/x?a=://",
		"HTTP://gateway.test:80/p/%78?/?": "/p/%78?/?",
		"http://gateway.test/p":           "/p",
		"http://gateway.test/p?q":         "/p?q",
	} {
		bubble(t, target, func(t *testing.T) {
			gw, r := quiet(), &recorder{}
			gw.Handle("/", r)
			rawConn(t, serveHandler(t, http.StripPrefix("/p", gw), gw)).request(head("/x", target))
			synctest.Wait()
			host := "gateway.test"
			if strings.Contains(target, ":80") {
				host += ":80"
			}
			if got := r.socket().Info().URI; got != "ws://"+host+want {
				t.Errorf("the URI of %s is %s, want the path %s", target, got, want)
			}
		})
	}
	bubble(t, "no path", func(t *testing.T) {
		for target, want := range map[string]string{"http://gateway.test": "/",
			"http://gateway.test?q=1": "/?q=1"} {
			gw, r := quiet(), &recorder{}
			gw.Handle("/", r)
			rawConn(t, serve(t, gw)).request(head("/x", target))
			synctest.Wait()
			if got := r.socket().Info().URI; got != "ws://gateway.test"+want {
				t.Errorf("the URI of %s is %s, want the path %s", target, got, want)
			}
		}
	})
}

// A writer whose Hijack asks in vain what it wraps is not the one to name.
func TestWriterThatHidesBehindOthers(t *testing.T) {
	gw := quiet()
	gw.Handle("/", echo())
	w := httptest.NewRecorder()
	gw.ServeHTTP(asking{wrappedWriter{hidingWriter{w}}}, sinkRequest("/"))
	if body := w.Body.String(); w.Code != 500 || !strings.Contains(body, "hidingWriter") {
		t.Errorf("the answer is %d %s, want 500 that names hidingWriter", w.Code, body)
	}
}

// asking has a Hijack that asks what it wraps, as echo.Response has.
type asking struct{ http.ResponseWriter }

func (a asking) Unwrap() http.ResponseWriter { return a.ResponseWriter }
func (a asking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(a.ResponseWriter).Hijack()
}

type hidingWriter struct{ http.ResponseWriter }
