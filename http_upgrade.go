package gateway

import (
	"crypto/sha1"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"
)

// An upgrade is what an upgrade request asked for, after it was checked.
type upgrade struct {
	key         string
	subprotocol string // that was agreed on, or ""
	extension   string // the same: permessage-deflate with its parameters, or ""
}

// checkUpgrade checks the opening handshake of RFC 6455, section 4.2.1, and what
// RFC 9112 says about upgrades. The route exists; no_route comes before all of
// this.
func checkUpgrade(r *http.Request) (upgrade, *Error) {
	if r.ProtoMajor >= 2 {
		return upgrade{}, NewError(ErrUnsupported, "a WebSocket over HTTP/%d is not supported: use "+
			"HTTP/1.1", r.ProtoMajor)
	}
	if err := checkUpgradeTokens(r); err != nil {
		return upgrade{}, err
	}
	if hasBody(r) {
		return upgrade{}, invalidf("an upgrade request has no body")
	}
	if v := r.Header["Sec-Websocket-Version"]; len(v) != 1 || strings.TrimSpace(v[0]) != "13" {
		return upgrade{}, NewError(ErrUpgrade, "Sec-WebSocket-Version must be 13")
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 {
		return upgrade{}, invalidf("an upgrade request has one Sec-WebSocket-Key, this one has %d",
			len(keys))
	}
	key := strings.TrimSpace(keys[0])
	var nonce [18]byte // 24 characters decode to at most this
	if n, err := base64.StdEncoding.Decode(nonce[:], []byte(key[:min(len(key), 24)])); err != nil ||
		n != 16 || len(key) != 24 {
		return upgrade{}, invalidf("Sec-WebSocket-Key must be 16 bytes in base64")
	}
	return upgrade{key: key}, nil
}

// hasBody reports whether a body was announced. It may never come, and nothing
// in net/http would end the wait.
func hasBody(r *http.Request) bool { return r.ContentLength != 0 || len(r.TransferEncoding) > 0 }

func checkUpgradeTokens(r *http.Request) *Error {
	switch {
	case !hasToken(r.Header["Upgrade"], "websocket"):
		if r.Header.Get("Upgrade") != "" && hasToken(r.Header["Connection"], "upgrade") {
			return NewError(ErrUnsupported, "the upgrade asked for is not to websocket")
		}
		return NewError(ErrUpgrade, "this is a WebSocket endpoint: the request is not an upgrade")
	case !hasToken(r.Header["Connection"], "upgrade"):
		return NewError(ErrUpgrade, "the Connection header does not contain Upgrade")
	case !r.ProtoAtLeast(1, 1):
		return NewError(ErrUpgrade, "a WebSocket needs HTTP/1.1, the request is %.20q", r.Proto)
	case r.Method != http.MethodGet:
		return ErrMethod
	}
	return nil
}

// hasToken reports whether the comma-separated fields contain the token.
func hasToken(fields []string, token string) bool {
	for _, f := range fields {
		for t := range strings.SplitSeq(f, ",") {
			if strings.EqualFold(strings.TrimSpace(t), token) {
				return true
			}
		}
	}
	return false
}

// selectSubprotocol returns the first of ours that the client offers.
func selectSubprotocol(ours []string, r *http.Request) string {
	if len(ours) == 0 {
		return ""
	}
	offered := offeredSubprotocols(r)
	for _, p := range ours {
		if slices.Contains(offered, p) {
			return p
		}
	}
	return ""
}

func offeredSubprotocols(r *http.Request) []string {
	var all []string
	for _, f := range r.Header["Sec-Websocket-Protocol"] {
		for t := range strings.SplitSeq(f, ",") {
			all = append(all, strings.TrimSpace(t))
		}
	}
	return all
}

// refuse answers a request that does not become a socket.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, e *Error) {
	pattern := h.countRefused(r, e)
	header := w.Header()
	switch e.Status {
	case http.StatusUpgradeRequired:
		header.Set("Upgrade", "websocket")
		header.Set("Connection", "Upgrade")
		header.Set("Sec-WebSocket-Version", "13")
	case http.StatusMethodNotAllowed:
		header.Set("Allow", http.MethodGet)
	}
	var fields http.Header
	if e.header != nil {
		fields = *e.header
	}
	for name, values := range fields {
		if !ownFields[name] {
			header[name] = append(header[name], values...) // cookies of middleware stay
		}
	}
	if (e.Is(ErrTooMany) || e.Is(ErrShutdown)) && header.Get("Retry-After") == "" {
		header.Set("Retry-After", "5")
	}
	if hasBody(r) {
		// The body may never come. Without a deadline that has passed, the
		// server would wait for it before it closes the connection.
		header.Set("Connection", "close")
		http.NewResponseController(w).SetReadDeadline(time.Now())
	}
	writeError(w, e)
	h.observeRefused(UpgradeRefused{pattern, r.RemoteAddr, e.Type, e.Status, r.Context()})
	h.log.Debug("upgrade refused", "type", e.Type, "status", e.Status, "remote_addr", r.RemoteAddr)
}

// countRefused counts a refusal, and returns the pattern that the request met, or "".
func (h *Handler) countRefused(r *http.Request, e *Error) (pattern string) {
	if rt, _, err := h.match(r); err == nil {
		rt.stats.refused.add(e.Type)
		return rt.Pattern
	}
	h.refused.add(e.Type)
	return ""
}

// writeError answers with the error object.
func writeError(w http.ResponseWriter, e *Error) {
	body, err := json.Marshal(e)
	if err != nil { // three plain fields always marshal
		panic(err)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(e.Status)
	w.Write(body)
}

// hijackerOf returns the Hijacker of w, or of what w wraps. If there is none, the
// error names the type that hides it.
func hijackerOf(w http.ResponseWriter) (http.Hijacker, *Error) {
	for {
		if hj, ok := w.(http.Hijacker); ok {
			return hj, nil
		}
		u, ok := w.(unwrapper)
		if !ok {
			return nil, NewError(ErrInternal,
				"the connection cannot be taken over: %T has neither Hijack nor Unwrap", w)
		}
		w = u.Unwrap()
	}
}

type unwrapper interface{ Unwrap() http.ResponseWriter }

// hijackFailed is the error of a Hijack. It names the innermost type: some have a
// Hijack that only asks what they wrap.
func hijackFailed(hj http.Hijacker, err error) *Error {
	var hides any = hj
	for {
		u, ok := hides.(unwrapper)
		if !ok {
			return NewError(ErrInternal, "the connection cannot be taken over from %T: %v", hides, err)
		}
		hides = u.Unwrap()
	}
}

// appendResponse appends the answer that completes the handshake (RFC 6455, section
// 4.2.2), with the fields that middleware has set on the ResponseWriter and those of
// the admission.
func (u *upgrade) appendResponse(b []byte, more ...http.Header) []byte {
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\n"+
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	before := len(b) // what is hashed is put together where the hash goes
	b = append(append(b, u.key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...)
	sum := sha1.Sum(b[before:])
	b = base64.StdEncoding.AppendEncode(b[:before], sum[:])
	b = append(b, "\r\n"...)
	if u.subprotocol != "" {
		b = appendField(b, "Sec-WebSocket-Protocol", u.subprotocol)
	}
	if u.extension != "" {
		b = appendField(b, "Sec-WebSocket-Extensions", u.extension)
	}
	for _, header := range more {
		for name, values := range header {
			if !isToken(name) || ownFields[textproto.CanonicalMIMEHeaderKey(name)] {
				continue
			}
			for _, v := range values {
				b = appendField(b, name, v)
			}
		}
	}
	return append(b, "\r\n"...)
}

// ownFields are those that neither middleware nor a hook can set: an answer says them
// itself, or they describe a body or a connection that it does not have.
var ownFields = map[string]bool{
	"Upgrade": true, "Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true,
	"Sec-Websocket-Accept": true, "Sec-Websocket-Protocol": true,
	"Sec-Websocket-Extensions": true, "Sec-Websocket-Version": true,
	"Transfer-Encoding": true, "Trailer": true, "Date": true,
	"Content-Type": true, "Content-Length": true, "Content-Encoding": true,
	"Content-Language": true, "Content-Location": true, "Content-Range": true,
	"Content-Disposition": true, "Content-Md5": true, "Content-Digest": true, "Repr-Digest": true,
	"Accept-Ranges": true, "Etag": true, "Last-Modified": true,
}

var fieldCleaner = strings.NewReplacer("\r", " ", "\n", " ")

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, fieldCleaner.Replace(value)...), "\r\n"...)
}
