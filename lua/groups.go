package lua

import (
	"context"
	"slices"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/lua/internal/vm"
)

// groupOf returns the field group of an operation's argument, and whether there
// is one.
func (m *machine) groupOf(arg vm.Value) (name string, ok bool, err error) {
	switch t := m.Type(arg); t {
	case "nil":
		return "", false, nil
	case "table":
	default:
		return "", false, invalid("a table is expected, as in {socket_id = id}, got a " + t)
	}
	group := m.Get(arg, "group")
	name, ok = group.(string)
	if !ok && group != nil {
		return "", false, invalid("group is a " + m.Type(group) + ", not a string")
	}
	return name, ok, nil
}

// sendGroup returns how many members accepted the message.
func (m *machine) sendGroup(ctx context.Context, group string, arg vm.Value,
	err error) (vm.Value, error) {
	if err != nil {
		return nil, err
	}
	if m.Get(arg, "socket_id") != nil {
		return nil, invalid("socket_id and group exclude each other")
	}
	msg, err := m.message(arg)
	if err != nil {
		return nil, err
	}
	var n int
	m.Pause(func() { n, err = m.program.host.gw.Group(group).Send(ctx, msg) })
	m.Spend(n * perSocket)
	return float64(n), err
}

func (m *machine) opJoin(ctx context.Context, arg vm.Value) (vm.Value, error) {
	return m.membership(ctx, arg, gateway.Group.Join)
}

func (m *machine) opLeave(ctx context.Context, arg vm.Value) (vm.Value, error) {
	return m.membership(ctx, arg, gateway.Group.Leave)
}

func (m *machine) membership(ctx context.Context, arg vm.Value,
	change func(gateway.Group, context.Context, string) error) (vm.Value, error) {
	id, err := m.socketID(arg)
	if err != nil {
		return nil, err
	}
	group, ok, err := m.groupOf(arg)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, invalid("group is missing")
	}
	m.Pause(func() { err = change(m.program.host.gw.Group(group), ctx, id) })
	return m.done(), err
}

// members returns the ids of a group's sockets in lexical order.
func (m *machine) members(ctx context.Context, group string) ([]string, error) {
	var ids []string
	for member, err := range m.program.host.gw.Group(group).Members(ctx) {
		if err != nil {
			return nil, err
		}
		ids = append(ids, member.SocketID)
	}
	slices.Sort(ids)
	return ids, nil
}
