package raw

import (
	"bufio"
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A Request is an upgrade request, line by line.
type Request struct {
	Method, Target, Proto string
	Fields                []Field // in the order they are sent
	Body                  []byte  // sent right behind the header, in the same write
}

// A Field is one header line.
type Field struct{ Name, Value string }

// NewRequest returns a correct upgrade request for the path on the host.
func NewRequest(host, target string) *Request {
	key := make([]byte, 16)
	_, _ = rand.Read(key) // never fails
	return &Request{Method: "GET", Target: target, Proto: "HTTP/1.1", Fields: []Field{
		{"Host", host},
		{"Upgrade", "websocket"},
		{"Connection", "Upgrade"},
		{"Sec-WebSocket-Key", base64.StdEncoding.EncodeToString(key)},
		{"Sec-WebSocket-Version", "13"},
	}}
}

// Add appends a header line.
func (r *Request) Add(name, value string) *Request {
	r.Fields = append(r.Fields, Field{name, value})
	return r
}

// Del removes the header lines of the name.
func (r *Request) Del(name string) *Request {
	kept := r.Fields[:0:0]
	for _, f := range r.Fields {
		if !strings.EqualFold(f.Name, name) {
			kept = append(kept, f)
		}
	}
	r.Fields = kept
	return r
}

// Set puts one header line in the place of all of that name.
func (r *Request) Set(name, value string) *Request { return r.Del(name).Add(name, value) }

// Get returns the value of the first header line of the name.
func (r *Request) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Bytes returns the request as it is sent.
func (r *Request) Bytes() []byte {
	b := fmt.Appendf(nil, "%s %s %s\r\n", r.Method, r.Target, r.Proto)
	for _, f := range r.Fields {
		b = fmt.Appendf(b, "%s: %s\r\n", f.Name, f.Value)
	}
	return append(append(b, "\r\n"...), r.Body...)
}

// Timeout bounds every handshake, and every read and write of a Conn that sets
// no deadline of its own.
const Timeout = 30 * time.Second

// Do sends a request to addr and reads the answer. Of a 101 that keeps to the
// RFC it returns the connection; of any other answer the response with its
// body read into memory, and no connection.
func Do(addr string, r *Request) (*Conn, *Response, error) {
	nc, err := net.DialTimeout("tcp", addr, Timeout)
	if err != nil {
		return nil, nil, err
	}
	c, resp, err := Handshake(nc, r)
	if c == nil {
		_ = nc.Close()
	}
	return c, resp, err
}

// A Response is the answer to an upgrade request.
type Response struct {
	Status    int
	Header    http.Header
	Body      []byte // of a refusal
	KeepAlive bool   // the server lets the connection live after a refusal
}

// Handshake does what Do does on a connection that is already open. It leaves
// nc open whatever comes.
func Handshake(nc net.Conn, r *Request) (*Conn, *Response, error) {
	_ = nc.SetDeadline(time.Now().Add(Timeout))
	// Written beside the reading: a server may answer before it has read a
	// request it does not like to its end.
	go func() { _, _ = nc.Write(r.Bytes()) }()
	return ReadResponse(nc, r)
}

// ReadResponse reads the answer to a request that the caller has written.
func ReadResponse(nc net.Conn, r *Request) (*Conn, *Response, error) {
	br := bufio.NewReader(nc)
	hr, err := http.ReadResponse(br, &http.Request{Method: r.Method})
	if err != nil {
		return nil, nil, fmt.Errorf("no answer to the upgrade request: %w", err)
	}
	resp := &Response{Status: hr.StatusCode, Header: hr.Header, KeepAlive: !hr.Close}
	if hr.StatusCode != http.StatusSwitchingProtocols {
		resp.Body, err = io.ReadAll(io.LimitReader(hr.Body, 1<<20))
		return nil, resp, err
	}
	_ = nc.SetDeadline(time.Time{})
	if err := checkAccept(hr, r); err != nil {
		return nil, resp, err
	}
	c := &Conn{nc: nc, br: br}
	if ext := hr.Header.Values("Sec-Websocket-Extensions"); len(ext) > 0 {
		if c.deflate, err = acceptDeflate(strings.Join(ext, ", "), r); err != nil {
			return nil, resp, err
		}
	}
	return c, resp, nil
}

// checkAccept holds a 101 to RFC 6455, section 4.1.
func checkAccept(hr *http.Response, r *Request) error {
	sum := sha1.Sum([]byte(strings.TrimSpace(r.Get("Sec-WebSocket-Key")) +
		"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got, want := hr.Header.Values("Sec-Websocket-Accept"), base64.StdEncoding.EncodeToString(
		sum[:]); len(got) != 1 || got[0] != want {
		return broken("Sec-WebSocket-Accept is %q, not %q", got, want)
	}
	if got := hr.Header.Get("Upgrade"); !strings.EqualFold(got, "websocket") {
		return broken("Upgrade is %q", got)
	}
	if got := hr.Header.Get("Connection"); !strings.EqualFold(got, "Upgrade") {
		return broken("Connection is %q", got)
	}
	if got := hr.Header.Values("Sec-Websocket-Protocol"); len(got) > 1 {
		return broken("two Sec-WebSocket-Protocol fields: %q", got)
	} else if len(got) == 1 && !offered(r, got[0]) {
		return broken("subprotocol %q was not offered", got[0])
	}
	if hr.Header.Get("Content-Length") != "" || hr.Header.Get("Transfer-Encoding") != "" {
		return broken("a 101 with a body: %v", hr.Header)
	}
	return nil
}

func offered(r *Request, protocol string) bool {
	for _, f := range r.Fields {
		if !strings.EqualFold(f.Name, "Sec-WebSocket-Protocol") {
			continue
		}
		for p := range strings.SplitSeq(f.Value, ",") {
			if strings.TrimSpace(p) == protocol {
				return true
			}
		}
	}
	return false
}
