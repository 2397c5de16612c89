package lua

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// openWebsocket gives scripts the table Websocket.
func (m *machine) openWebsocket() {
	t := m.NewTable(7)
	for name, op := range map[string]func(ctx context.Context, arg vm.Value) (vm.Value, error){
		"send": m.opSend, "close": m.opClose, "closeAll": m.opCloseAll, "info": m.opInfo,
		"list": m.opList,
		"join": m.opJoin, "leave": m.opLeave,
	} {
		name := "Websocket." + name
		m.Set(t, strings.TrimPrefix(name, "Websocket."), m.Function(name, func(c *vm.Call) error {
			arg := c.Arg(1)
			if arg == t { // Websocket:send{...}
				arg = c.Arg(2)
			}
			v, err := op(m.context(), arg)
			c.Return(m.result(name, v, err))
			return nil
		}))
	}
	m.SetGlobal("Websocket", t)
}

// context is that of the run.
func (m *machine) context() context.Context {
	if m.run == nil {
		return context.Background()
	}
	return m.run
}

// result is what an operation, or the function of a service, returns to the script.
func (m *machine) result(op string, v vm.Value, err error) vm.Value {
	if err == nil {
		return v
	}
	e := gateway.ErrorOf(err)
	if e.Type == gateway.ErrTimeout.Type && m.context().Err() != nil {
		e.Message = "the event was over before this was done"
	}
	m.refused(op, e)
	t := m.NewTable(3)
	m.Set(t, "type", e.Type)
	m.Set(t, "error", e.Message)
	m.Set(t, "status", float64(e.Status))
	return t
}

// done is the success of send and close.
func (m *machine) done() vm.Value {
	if !m.program.host.opts.StatusOnSuccess {
		return nil
	}
	t := m.NewTable(1)
	m.Set(t, m.program.host.opts.StatusField, float64(204))
	return t
}

// perSocket is what an operation on many sockets counts for each, in instructions.
const perSocket = 4

func invalid(text string) error {
	return gateway.NewError(gateway.ErrInvalid, "%s", text)
}

func (m *machine) socketID(arg vm.Value) (string, error) {
	if m.Type(arg) != "table" {
		return "",
			invalid("a table with the field socket_id is expected, as in {socket_id = id}")
	}
	id, ok := m.Get(arg, "socket_id").(string)
	if !ok {
		return "", invalid("socket_id is missing, or not a string")
	}
	return id, nil
}

func (m *machine) opSend(ctx context.Context, arg vm.Value) (vm.Value, error) {
	if group, ok, err := m.groupOf(arg); ok || err != nil {
		return m.sendGroup(ctx, group, arg, err)
	}
	id, err := m.socketID(arg)
	if err != nil {
		return nil, err
	}
	msg, err := m.message(arg)
	if err != nil {
		return nil, err
	}
	m.Pause(func() { err = m.program.host.gw.Send(ctx, id, msg) })
	return m.done(), err
}

// message makes the message of the fields message and type, and counts it as
// output.
func (m *machine) message(arg vm.Value) (gateway.Message, error) {
	text, ok := m.Get(arg, "message").(string)
	if !ok {
		return gateway.Message{}, invalid(notText(m.Type(m.Get(arg, "message"))))
	}
	word, ok := m.Get(arg, "type").(string)
	if !ok && m.Get(arg, "type") != nil {
		return gateway.Message{}, invalid("type is a " + m.Type(m.Get(arg, "type")) + ", not a string")
	}
	typ, err := gateway.ParseMessageType(word)
	if err != nil {
		return gateway.Message{}, err
	}
	if typ == gateway.MessageText && !utf8.ValidString(text) {
		return gateway.Message{},
			invalid("message is not UTF-8: other bytes are sent in base64, with " + binaryField)
	}
	msg := gateway.Message{Type: typ, Data: []byte(text)}
	if typ == gateway.MessageBinary {
		if msg.Data, err = base64.StdEncoding.DecodeString(text); err != nil {
			return gateway.Message{}, invalid("message is not base64 (standard alphabet, padded)")
		}
	}
	m.Output(len(msg.Data))
	return msg, nil
}

// notText says what to do with a message of a type that is not sent as it is.
func notText(typ string) string {
	switch typ {
	case "nil":
		return "message is missing"
	case "table":
		return "message is a table, not a string: to_json makes one of it"
	case "number", "boolean":
		return "message is a " + typ + ", not a string: tostring makes one of it"
	}
	return "message is a " + typ + ", not a string"
}

func (m *machine) opClose(ctx context.Context, arg vm.Value) (vm.Value, error) {
	id, err := m.socketID(arg)
	if err == nil {
		m.Pause(func() { m.run.closing(func() { err = m.program.host.gw.Close(ctx, id) }) })
	}
	return m.done(), err
}

func (m *machine) opCloseAll(ctx context.Context, arg vm.Value) (vm.Value, error) {
	group, ok, err := m.groupOf(arg)
	if err != nil {
		return nil, err
	}
	var n int
	m.Pause(func() {
		m.run.closing(func() {
			if ok {
				n, err = m.program.host.gw.Group(group).CloseWith(ctx, 1000, "")
			} else {
				n, err = m.program.host.gw.CloseAll(ctx)
			}
		})
	})
	m.Spend(n * perSocket)
	return float64(n), err
}

// opInfo returns what the info object is in JSON, which has no credentials.
func (m *machine) opInfo(ctx context.Context, arg vm.Value) (vm.Value, error) {
	id, err := m.socketID(arg)
	if err != nil {
		return nil, err
	}
	var text []byte
	m.Pause(func() {
		var info gateway.Info
		if info, err = m.program.host.gw.Info(ctx, id); err == nil {
			text, err = json.Marshal(info)
		}
	})
	if err != nil {
		return nil, err
	}
	return m.ParseJSON(string(text))
}

func (m *machine) opList(ctx context.Context, arg vm.Value) (vm.Value, error) {
	group, ok, err := m.groupOf(arg)
	if err != nil {
		return nil, err
	}
	var ids []string
	m.Pause(func() {
		if ok {
			ids, err = m.members(ctx, group)
		} else {
			ids, err = m.program.host.gw.List(ctx)
		}
	})
	if err != nil {
		return nil, err
	}
	m.Spend(len(ids) * perSocket)
	t := m.NewArray()
	for i, id := range ids {
		m.SetIndex(t, i+1, id)
	}
	return t, nil
}

// sendFunction is websocketInfo.send of one event. It stays with the event's
// socket, whoever calls it later. It waits while the client does not read.
func (m *machine) sendFunction(e *event) vm.Value {
	return m.Function("send", func(c *vm.Call) error {
		arg := c.Arg(1)
		if c.Count() > 1 && arg == e.table { // websocketInfo:send(x)
			arg = c.Arg(2)
		}
		v, err := m.sendOwn(e, arg)
		c.Return(m.result("websocketInfo.send", v, err))
		return nil
	})
}

func (m *machine) sendOwn(e *event, arg vm.Value) (vm.Value, error) {
	if t := m.Type(arg); t != "string" && t != "table" && t != "number" && t != "boolean" {
		return nil, invalid("send expects a string or a table, got " + t)
	}
	text, err := m.text(arg)
	if err != nil {
		return nil, invalid(err.Error())
	}
	if !utf8.ValidString(text) {
		return nil, errNotText
	}
	m.Output(len(text))
	m.Pause(func() { err = e.socket.Send(e.ctx, gateway.Text(text)) })
	return m.done(), err
}

const binaryField = `type = "data-binary"`

// errNotText is for what a script replies or sends to its own socket.
var errNotText = gateway.NewError(gateway.ErrInvalid,
	"it is not UTF-8: Websocket.send takes other bytes in base64, with %s", binaryField)

func (m *machine) closeFunction(e *event) vm.Value {
	return m.Function("close", func(c *vm.Call) error {
		var err error
		m.Pause(func() { m.run.closing(func() { err = e.socket.Close() }) })
		c.Return(m.result("websocketInfo.close", m.done(), err))
		return nil
	})
}
