package gateway

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/wsgateway/gateway/internal/forwarded"
	"github.com/wsgateway/gateway/internal/pattern"
)

// A request is what a socket keeps of its upgrade request, in as few and small
// pieces as possible: maps are made when somebody asks.
type request struct {
	uri         string // its part after the first ? is the query
	fields      string // the header: name, newline, value, newline, and so on
	remote      string
	addr        netip.Addr
	exempt      bool
	subprotocol string
	path        []string // values of the pattern's parameters
}

func newRequest(r *http.Request, c *forwarded.Client, path []string, subprotocol string) request {
	q := request{
		uri: uriOf(r, c), fields: packHeader(r), remote: strings.Clone(c.Remote),
		addr: c.Addr, exempt: c.Exempt, path: path, subprotocol: strings.Clone(subprotocol),
	}
	for i, v := range q.path { // a part of the server's copy of the URI would keep all of that
		if at := strings.Index(q.uri, v); at >= 0 {
			q.path[i] = q.uri[at : at+len(v)]
		} else {
			q.path[i] = strings.Clone(v)
		}
	}
	return q
}

// size is how much memory the request keeps, in bytes, besides its struct: what its
// client chose, and so what can be charged to the socket.
func (q *request) size() int {
	const stringHeader = 16
	n := len(q.uri) + len(q.fields) + len(q.remote) + len(q.subprotocol) + stringHeader*cap(q.path)
	for _, v := range q.path {
		if !strings.Contains(q.uri, v) { // else it is a part of that
			n += len(v)
		}
	}
	return n
}

// uriOf returns the full URI as the client sent it, whatever StripPrefix made
// of the URL.
func uriOf(r *http.Request, c *forwarded.Client) string {
	return schemeOf(c) + "://" + c.Host + targetOf(r)
}

// schemeOf is that of the client's URI.
func schemeOf(c *forwarded.Client) string {
	if c.Secure {
		return "wss"
	}
	return "ws"
}

// targetOf returns path and query as the client sent them.
func targetOf(r *http.Request) string {
	target := r.RequestURI
	if target == "" { // no server has read it
		return r.URL.RequestURI()
	}
	if target[0] == '/' {
		return target
	}
	// The absolute form (RFC 9112, section 3.2.2): what follows scheme and host.
	_, target, _ = strings.Cut(target, "://")
	i := strings.IndexAny(target, "/?")
	switch {
	case i < 0:
		return "/"
	case target[i] == '?':
		return "/" + target[i:]
	}
	return target[i:]
}

// query returns the raw query.
func (q *request) query() string {
	_, raw, _ := strings.Cut(q.uri, "?")
	return raw
}

// packHeader keeps all fields in one string.
func packHeader(r *http.Request) string {
	var scratch [2 << 10]byte
	b := packField(scratch[:0], "Host", r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			b = packField(b, name, v)
		}
	}
	return string(b)
}

// packField appends a field. The server has refused line breaks in it; what a program
// put in is cleaned.
func packField(b []byte, name, value string) []byte {
	// ContainsAny takes longer.
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = fieldCleaner.Replace(value)
	}
	b = append(append(b, name...), '\n')
	return append(append(b, value...), '\n')
}

// header returns the fields as a header.
func (q *request) header() http.Header {
	h := http.Header{}
	for rest := q.fields; rest != ""; {
		var name, value string
		name, rest, _ = strings.Cut(rest, "\n")
		value, rest, _ = strings.Cut(rest, "\n")
		h[name] = append(h[name], value)
	}
	return h
}

// parameters returns path and query parameters together. A path parameter
// replaces a query parameter of the same name: otherwise ?id= could stand in
// for {id}.
func (q *request) parameters(names []string) Parameters {
	params, err := pattern.ParseQuery(q.query())
	if err != nil { // the upgrade was refused then
		params = Parameters{}
	}
	for i, name := range names {
		params[name] = []string{q.path[i]}
	}
	return params
}
