package gateway

import (
	"net/http"
	"strings"
	"sync"
	"unique"

	"github.com/wsgateway/gateway/internal/forwarded"
	"github.com/wsgateway/gateway/internal/pattern"
)

// A request is what a socket keeps of its upgrade request, in as few and small
// pieces as possible: maps are made when somebody asks.
type request struct {
	text   string                // URI, fields of its own, remote address and subprotocol
	ends   [3]uint32             // in text: of the first, second and third of these
	exempt bool                  // from Options.MaxSocketsPerAddr
	common unique.Handle[string] // the fields that many clients send alike; zero: none
	path   []string              // values of the pattern's parameters
}

func newRequest(r *http.Request, c *forwarded.Client, path []string, subprotocol string) request {
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	b := appendURI(s.own[:0], r, c)
	uri := len(b)
	b, common := packHeader(b, s, r)
	fields := len(b)
	b = append(b, c.Remote...)
	remote := len(b)
	b = append(b, subprotocol...)
	q := request{
		text: string(b), ends: [3]uint32{uint32(uri), uint32(fields), uint32(remote)},
		common: common, exempt: c.Exempt, path: path,
	}
	for i, v := range q.path { // a part of the server's copy of the URI would keep all of that
		if at := strings.Index(q.uri(), v); at >= 0 {
			q.path[i] = q.uri()[at : at+len(v)]
		} else {
			q.path[i] = strings.Clone(v)
		}
	}
	return q
}

// uri returns the URI. Its part after the first ? is the query.
func (q *request) uri() string { return q.text[:q.ends[0]] }

// fields returns the header's fields that are not in common: name, newline, value, newline,
// and so on.
func (q *request) fields() string { return q.text[q.ends[0]:q.ends[1]] }

func (q *request) remote() string { return q.text[q.ends[1]:q.ends[2]] }

func (q *request) subprotocol() string { return q.text[q.ends[2]:] }

// size is how much memory the request keeps, in bytes, besides its struct: what its
// client chose, and so what can be charged to the socket. What others may share counts,
// for they may be gone.
func (q *request) size() int {
	const stringHeader = 16
	n := len(q.text) + len(q.shared()) + stringHeader*cap(q.path)
	for _, v := range q.path {
		if !strings.Contains(q.uri(), v) { // else it is a part of that
			n += len(v)
		}
	}
	return n
}

// shared returns the fields in common, like fields.
func (q *request) shared() string {
	if q.common == (unique.Handle[string]{}) {
		return ""
	}
	return q.common.Value()
}

// appendURI appends the full URI as the client sent it, whatever StripPrefix made
// of the URL.
func appendURI(b []byte, r *http.Request, c *forwarded.Client) []byte {
	b = append(append(b, schemeOf(c)...), "://"...)
	return append(append(b, c.Host...), targetOf(r)...)
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
	_, raw, _ := strings.Cut(q.uri(), "?")
	return raw
}

// commonFields are those that the clients of a gateway send alike, mostly: the same
// browsers on the same pages. Their order is that in which they are kept.
var commonFields = [...]string{
	"Connection", "Upgrade", "Sec-Websocket-Version", "Sec-Websocket-Extensions", "Origin",
	"User-Agent", "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Pragma",
	"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Ch-Ua", "Sec-Ch-Ua-Mobile",
	"Sec-Ch-Ua-Platform", "Dnt", "X-Forwarded-Proto", "X-Forwarded-Host", "Via",
}

var commonIndex = func() map[string]int {
	index := map[string]int{}
	for i, name := range commonFields {
		index[name] = i
	}
	return index
}()

// mostCommon is how many bytes of fields are looked up among those of others.
const mostCommon = 2 << 10

// A scratch is where a request is put together, and the answer to it. On the stack it would
// make that of every request's goroutine grow.
type scratch struct {
	own    [2 << 10]byte
	common [mostCommon]byte
	found  [len(commonFields)][]string // values of commonFields
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// packHeader appends the fields of the request. What it has in common with others is one
// string for all of them.
func packHeader(b []byte, s *scratch, r *http.Request) ([]byte, unique.Handle[string]) {
	for name, values := range r.Header {
		if i, ok := commonIndex[name]; ok {
			s.found[i] = values
			continue
		}
		for _, v := range values {
			b = packField(b, name, v)
		}
	}
	common := packField(s.common[:0], "Host", r.Host)
	for i := range s.found { // ranging over its values would copy all of it
		values := s.found[i]
		s.found[i] = nil
		for _, v := range values {
			common = packField(common, commonFields[i], v)
		}
	}
	if len(common) > mostCommon {
		return append(b, common...), unique.Handle[string]{}
	}
	return b, unique.Make(string(common))
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
	for _, rest := range []string{q.fields(), q.shared()} {
		for rest != "" {
			var name, value string
			name, rest, _ = strings.Cut(rest, "\n")
			value, rest, _ = strings.Cut(rest, "\n")
			h[name] = append(h[name], value)
		}
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
