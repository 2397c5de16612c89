package gateway

import (
	"net/http"
	"net/netip"
	"strings"
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

func newRequest(r *http.Request, c *client, path []string, subprotocol string) request {
	return request{
		uri: uriOf(r, c), fields: packHeader(r), remote: strings.Clone(c.remote),
		addr: c.addr, exempt: c.exempt, path: path, subprotocol: subprotocol,
	}
}

// uriOf returns the full URI as the client sent it, whatever StripPrefix made
// of the URL.
func uriOf(r *http.Request, c *client) string {
	scheme := "ws://"
	if c.secure {
		scheme = "wss://"
	}
	target := r.RequestURI
	if !strings.HasPrefix(target, "/") { // absolute form, or a request that no server read
		target = r.URL.RequestURI()
	}
	return scheme + c.host + target
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
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 { // ContainsAny takes longer
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
	params, err := parseQuery(q.query())
	if err != nil { // checkQuery has read it
		params = Parameters{}
	}
	for i, name := range names {
		params[name] = []string{q.path[i]}
	}
	return params
}
