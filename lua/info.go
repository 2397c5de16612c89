package lua

import (
	"encoding/base64"
	"strings"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// An infoSource makes the fields of websocketInfo as the script asks for them.
type infoSource struct {
	m *machine
	e *event
}

func newInfoSource(m *machine, e *event) *infoSource { return &infoSource{m, e} }

var infoKeys = []string{
	"type", "message", "socket_id", "parameters", "send", "close", "headers", "message_type",
	"timestamp",
	"uri", "route", "server_ip", "remote_addr", "subprotocol", "values", "groups", "opened",
	"close_code", "close_reason", "close_cause",
}

// Keys returns the names of all fields there may be.
func (s *infoSource) Keys() []string { return infoKeys }

// Field makes one field; those that this event does not have are nil.
func (s *infoSource) Field(_ *vm.State, key string) vm.Value {
	e := s.e
	switch key {
	case "type":
		return e.ev.Type.String()
	case "socket_id":
		return e.socket.ID()
	case "route":
		return e.route
	case "timestamp":
		return float64(e.ev.Time.UnixMilli())
	case "send":
		return s.m.sendFunction(e)
	case "close":
		return s.m.closeFunction(e)
	}
	switch e.ev.Type {
	case gateway.EventData:
		switch key {
		case "message":
			text := messageText(e.ev.Message)
			e.ev.Message.Data = nil // it is made once
			return text
		case "message_type":
			return e.ev.Message.Type.String()
		}
	case gateway.EventClose:
		switch key {
		case "close_code":
			return float64(e.ev.Closed.Code)
		case "close_reason":
			return e.ev.Closed.Reason
		case "close_cause":
			return string(e.ev.Closed.Cause)
		}
	}
	return s.detail(e.fullInfo, key)
}

// detail makes the fields that need the whole Info.
func (s *infoSource) detail(info func() *gateway.Info, key string) vm.Value {
	switch key {
	case "uri":
		return info().URI
	case "server_ip":
		return info().Node
	case "remote_addr":
		return info().RemoteAddr
	case "opened":
		return float64(info().Opened.UnixMilli())
	case "subprotocol":
		return nonEmpty(info().Subprotocol)
	case "headers":
		return s.headers(info())
	case "parameters":
		return s.parameters(info())
	case "values":
		values := info().Values
		if len(values) == 0 {
			return nil
		}
		t := s.m.NewTable(len(values))
		for k, v := range values {
			s.m.Set(t, k, v)
		}
		return t
	case "groups":
		return s.list(s.e.socket.Info().Groups) // also those that this event has joined
	}
	return nil
}

func (s *infoSource) headers(info *gateway.Info) vm.Value {
	t := s.m.NewTable(len(info.Header))
	for name, values := range info.Header {
		between := ", "
		if name == "Cookie" {
			between = "; "
		}
		s.m.Set(t, strings.ToLower(name), strings.Join(values, between))
	}
	return t
}

func (s *infoSource) parameters(info *gateway.Info) vm.Value {
	t := s.m.NewTable(len(info.Parameters))
	for name, values := range info.Parameters {
		if len(values) == 1 {
			s.m.Set(t, name, values[0])
		} else {
			s.m.Set(t, name, s.list(values))
		}
	}
	return t
}

// list makes an array; nil if there is nothing to hold.
func (s *infoSource) list(values []string) vm.Value {
	if values == nil {
		return nil
	}
	t := s.m.NewArray()
	for i, v := range values {
		s.m.SetIndex(t, i+1, v)
	}
	return t
}

func nonEmpty(s string) vm.Value {
	if s == "" {
		return nil
	}
	return s
}

// messageText is the form of a message in scripts: the text, or the bytes in
// base64.
func messageText(m gateway.Message) string {
	if m.Type == gateway.MessageBinary {
		return base64.StdEncoding.EncodeToString(m.Data)
	}
	return string(m.Data)
}
