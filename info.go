package gateway

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// An EventType is one of the three events of a socket.
type EventType uint8

const (
	EventOpen  EventType = iota + 1 // the socket is registered; no data event has begun
	EventData                       // a message has come
	EventClose                      // the socket is closed; nothing follows
)

// String returns "open", "data" or "close".
func (t EventType) String() string {
	switch t {
	case EventOpen:
		return "open"
	case EventData:
		return "data"
	case EventClose:
		return "close"
	}
	return fmt.Sprintf("EventType(%d)", uint8(t))
}

// An Event is what an [Endpoint] is called with.
type Event struct {
	Type    EventType // which of the other fields count
	Time    time.Time // when it was received
	Message Message   // of a data event
	Closed  Closed    // of a close event
}

// Closed says how a socket ended.
type Closed struct {
	Cause Cause // why; what Stats counts it under
	// of the first close frame in either direction; 1005 if it had none, 1006 if there was none
	Code   int
	Reason string // always valid UTF-8
	Err    error  // what the endpoint returned or the network reported; may be nil
}

// Parameters are the path and query parameters of a socket's upgrade request.
// Where a path parameter and a query parameter share a name, only the path
// parameter is there: a query cannot fake a path.
type Parameters map[string][]string

// Get returns the first value of the parameter, or "".
func (p Parameters) Get(name string) string {
	if v := p[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Info describes a socket. It is a copy: changing it changes nothing.
//
// It marshals to a flat JSON object with credentials redacted, see
// [Info.MarshalJSON], and it logs without headers, URI and message, so that neither can leak them.
// [Info.JSONWithCredentials] is the explicit other form.
type Info struct {
	SocketID    string            // as of [Socket.ID]
	Node        string            // that owns the socket; server_ip in JSON
	URI         string            // of the upgrade request, as the client sent it
	Route       string            // the pattern as registered
	RemoteAddr  string            // host:port; the client's where trusted proxies forwarded it
	Subprotocol string            // that was agreed on, or ""
	Header      http.Header       // of the upgrade request, with Host
	Parameters  Parameters        // of path and query
	Values      map[string]string // of the Admission
	Groups      []string          // in lexical order; in a close event those it was in
	Opened      time.Time         // when its upgrade was accepted

	// Last is the latest event. Its Message is empty if it was longer than
	// Options.KeepMessage; LastSize is its length all the same.
	Last     Event
	LastSize int // bytes of payload

	secret []string // canonical names of headers to redact
}

// alwaysSecret are the headers that are redacted whatever the options say.
var alwaysSecret = []string{"Authorization", "Cookie", "Proxy-Authorization"}

// redacted returns info without the values of its secret headers; the names
// stay. Of the subprotocols that were offered it leaves the one agreed on: the others
// may be tokens, for which a page has no other header.
func (info Info) redacted() Info {
	h := maps.Clone(info.Header)
	for _, names := range [][]string{alwaysSecret, info.secret} {
		for _, name := range names {
			if _, ok := h[name]; ok {
				h[name] = []string{""}
			}
		}
	}
	if _, ok := h[offers]; ok && !slices.Contains(info.secret, offers) {
		h[offers] = []string{info.Subprotocol}
	}
	info.Header = h
	return info
}

const offers = "Sec-Websocket-Protocol"

// infoJSON is the JSON form; see MarshalJSON for what is absent when.
type infoJSON struct {
	SocketID    string               `json:"socket_id"`
	Type        string               `json:"type"`
	URI         string               `json:"uri"`
	Route       string               `json:"route"`
	Headers     map[string]string    `json:"headers"`
	Parameters  map[string]paramJSON `json:"parameters"`
	Message     *string              `json:"message,omitempty"`
	MessageType string               `json:"message_type,omitempty"`
	MessageSize int                  `json:"message_size,omitempty"`
	Timestamp   int64                `json:"timestamp"`

	ServerIP    string            `json:"server_ip"`
	RemoteAddr  string            `json:"remote_addr"`
	Opened      int64             `json:"opened"`
	Subprotocol string            `json:"subprotocol,omitempty"`
	Groups      []string          `json:"groups,omitempty"`
	Values      map[string]string `json:"values,omitempty"`

	CloseCode   int     `json:"close_code,omitempty"`
	CloseReason *string `json:"close_reason,omitempty"` // in a close event also when it is ""
	CloseCause  Cause   `json:"close_cause,omitempty"`
}

// paramJSON is a string, or an array of strings if there are several.
type paramJSON []string

func (p paramJSON) MarshalJSON() ([]byte, error) {
	if len(p) == 1 {
		return json.Marshal(p[0])
	}
	return json.Marshal([]string(p))
}

func (p *paramJSON) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*p = make(paramJSON, 1)
		return json.Unmarshal(b, &(*p)[0])
	}
	return json.Unmarshal(b, (*[]string)(p))
}

// MarshalJSON returns the info object, the same that scripts see, with the values
// of secret headers replaced by "", and of the subprotocols that were offered the one
// agreed on. Its members:
//
//   - socket_id, uri, route, remote_addr: strings, as the fields of Info;
//     server_ip names the node.
//   - type: "open", "data" or "close", the latest event.
//   - timestamp, opened: when that event came and when the socket was opened, in
//     milliseconds since the Unix epoch.
//   - headers: strings by name in lower case, host included; several fields of a
//     name are joined by ", ", cookies by "; ".
//   - parameters: strings by name, an array of strings where there are several.
//   - message_type, of a data event: "data-text" or "data-binary"; with message,
//     the text or the bytes in base64, or, where it was not kept (see
//     [Options].KeepMessage), with message_size in bytes.
//   - close_code, close_reason, close_cause: of a close event.
//   - subprotocol, groups, values: absent where there are none.
func (info Info) MarshalJSON() ([]byte, error) { return info.redacted().JSONWithCredentials() }

// JSONWithCredentials returns the object of [Info.MarshalJSON] with all headers as
// they came. It is for the socket's own endpoint.
func (info Info) JSONWithCredentials() ([]byte, error) {
	j := infoJSON{
		SocketID: info.SocketID, Type: info.Last.Type.String(), URI: info.URI, Route: info.Route,
		Headers:    make(map[string]string, len(info.Header)),
		Parameters: make(map[string]paramJSON, len(info.Parameters)),
		Timestamp:  info.Last.Time.UnixMilli(), ServerIP: info.Node, RemoteAddr: info.RemoteAddr,
		Opened: info.Opened.UnixMilli(), Subprotocol: info.Subprotocol, Groups: info.Groups,
		Values: info.Values,
	}
	for name, values := range info.Header {
		j.Headers[strings.ToLower(name)] = joinHeader(name, values)
	}
	for name, values := range info.Parameters {
		j.Parameters[name] = values
	}
	switch info.Last.Type {
	case EventData:
		j.MessageType = info.Last.Message.Type.String()
		if len(info.Last.Message.Data) == info.LastSize {
			text := messageText(info.Last.Message)
			j.Message = &text
		} else {
			j.MessageSize = info.LastSize
		}
	case EventClose:
		c := &info.Last.Closed
		j.CloseCode, j.CloseReason, j.CloseCause = c.Code, &c.Reason, c.Cause
	}
	return json.Marshal(&j)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (info *Info) UnmarshalJSON(b []byte) error {
	var j infoJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return err
	}
	v := Info{
		SocketID: j.SocketID, Node: j.ServerIP, URI: j.URI, Route: j.Route, RemoteAddr: j.RemoteAddr,
		Subprotocol: j.Subprotocol, Groups: j.Groups, Values: j.Values, Opened: time.UnixMilli(j.Opened),
		Header: make(http.Header, len(j.Headers)), Parameters: make(Parameters, len(j.Parameters)),
	}
	for name, value := range j.Headers {
		v.Header.Set(name, value)
	}
	for name, values := range j.Parameters {
		v.Parameters[name] = values
	}
	v.Last.Time = time.UnixMilli(j.Timestamp)
	switch j.Type {
	case "open":
		v.Last.Type = EventOpen
	case "close":
		v.Last.Type = EventClose
		v.Last.Closed = Closed{Cause: j.CloseCause, Code: j.CloseCode}
		if j.CloseReason != nil {
			v.Last.Closed.Reason = *j.CloseReason
		}
	case "data":
		v.Last.Type = EventData
		if err := v.unmarshalMessage(&j); err != nil {
			return err
		}
	default:
		return fmt.Errorf("gateway: info: type %.40q is not open, data or close", j.Type)
	}
	*info = v
	return nil
}

func (info *Info) unmarshalMessage(j *infoJSON) error {
	typ, err := ParseMessageType(j.MessageType)
	if err != nil {
		return err
	}
	info.Last.Message.Type, info.LastSize = typ, j.MessageSize
	if j.Message == nil {
		return nil
	}
	data := []byte(*j.Message)
	if typ == MessageBinary {
		if data, err = base64.StdEncoding.DecodeString(*j.Message); err != nil {
			return fmt.Errorf("gateway: info: message: %w", err)
		}
	}
	info.Last.Message.Data, info.LastSize = data, len(data)
	return nil
}

// LogValue names the socket and its route, and nothing that may be secret.
func (info Info) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("socket_id", info.SocketID),
		slog.String("route", info.Route),
		slog.String("remote_addr", info.RemoteAddr),
		slog.String("type", info.Last.Type.String()),
	)
}

// messageText is the form of a message in JSON and scripts: the text itself, or
// the bytes in base64.
func messageText(m Message) string {
	if m.Type == MessageBinary {
		return base64.StdEncoding.EncodeToString(m.Data)
	}
	return string(m.Data)
}

// joinHeader makes one string of a header's fields (RFC 9110, section 5.3;
// cookies as RFC 6265, section 5.4 writes them).
func joinHeader(name string, values []string) string {
	if name == "Cookie" {
		return strings.Join(values, "; ")
	}
	return strings.Join(values, ", ")
}
