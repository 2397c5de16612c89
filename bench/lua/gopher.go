package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	gopher "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"github.com/wsgateway/gateway"
)

// inGopher runs a script on gopher-lua with a pool of VMs, as its documentation
// shows: compiled once, loaded into each VM once. It has no budgets, and its
// websocketInfo has only the fields that cost nothing to find.
func inGopher(script string) func(*gateway.Handler) error {
	return func(gw *gateway.Handler) error {
		chunk, err := parse.Parse(strings.NewReader("return function(websocketInfo, response) "+script+
			"\nend"), "bench.lua")
		if err != nil {
			return err
		}
		proto, err := gopher.Compile(chunk, "bench.lua")
		if err != nil {
			return err
		}
		pool := &gopherPool{proto: proto}
		gw.Handle("/bench", gateway.EndpointFunc(pool.serve))
		return nil
	}
}

type gopherPool struct {
	proto *gopher.FunctionProto // immutable

	mu   sync.Mutex
	idle []*gopherVM // guarded by mu
}

type gopherVM struct {
	*gopher.LState
	fn gopher.LValue
}

func (p *gopherPool) get() (*gopherVM, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		vm := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return vm, nil
	}
	vm := &gopherVM{LState: gopher.NewState()}
	vm.SetGlobal("from_json", vm.NewFunction(fromJSON))
	vm.SetGlobal("to_json", vm.NewFunction(toJSON))
	vm.Push(vm.NewFunctionFromProto(p.proto))
	if err := vm.PCall(0, 1, nil); err != nil {
		return nil, err
	}
	vm.fn = vm.Get(-1)
	vm.Pop(1)
	return vm, nil
}

func (p *gopherPool) put(vm *gopherVM) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, vm)
}

func (p *gopherPool) serve(ctx context.Context, s *gateway.Socket, ev gateway.Event) error {
	vm, err := p.get()
	if err != nil {
		return err
	}
	defer p.put(vm)
	info := vm.CreateTable(0, 8)
	info.RawSetString("type", gopher.LString(ev.Type.String()))
	info.RawSetString("message", gopher.LString(ev.Message.Data))
	info.RawSetString("message_type", gopher.LString(ev.Message.Type.String()))
	info.RawSetString("socket_id", gopher.LString(s.ID()))
	info.RawSetString("timestamp", gopher.LNumber(ev.Time.UnixMilli()))
	response := vm.NewTable()
	if err := vm.CallByParam(gopher.P{Fn: vm.fn, NRet: 1, Protect: true}, info, response); err != nil {
		return err
	}
	result := vm.Get(-1)
	vm.Pop(1)
	if result == gopher.LNil {
		result = response.RawGetString("message")
	}
	switch result := result.(type) {
	case *gopher.LNilType:
		return nil
	case gopher.LString:
		return s.Send(ctx, gateway.Text(string(result)))
	default:
		m, err := gateway.JSON(toGo(result))
		if err != nil {
			return err
		}
		return s.Send(ctx, m)
	}
}

func fromJSON(l *gopher.LState) int {
	var v any
	if err := json.Unmarshal([]byte(l.CheckString(1)), &v); err != nil {
		l.Push(gopher.LNil)
		l.Push(gopher.LString(err.Error()))
		return 2
	}
	l.Push(toLua(l, v))
	return 1
}

func toJSON(l *gopher.LState) int {
	b, err := json.Marshal(toGo(l.CheckAny(1)))
	if err != nil {
		l.RaiseError("%v", err)
	}
	l.Push(gopher.LString(b))
	return 1
}

func toLua(l *gopher.LState, v any) gopher.LValue {
	switch v := v.(type) {
	case bool:
		return gopher.LBool(v)
	case float64:
		return gopher.LNumber(v)
	case string:
		return gopher.LString(v)
	case []any:
		t := l.CreateTable(len(v), 0)
		for _, x := range v {
			t.Append(toLua(l, x))
		}
		return t
	case map[string]any:
		t := l.CreateTable(0, len(v))
		for k, x := range v {
			t.RawSetString(k, toLua(l, x))
		}
		return t
	}
	return gopher.LNil
}

func toGo(v gopher.LValue) any {
	switch v := v.(type) {
	case gopher.LBool:
		return bool(v)
	case gopher.LNumber:
		return float64(v)
	case gopher.LString:
		return string(v)
	case *gopher.LTable:
		if n := v.Len(); n > 0 {
			list := make([]any, n)
			for i := range list {
				list[i] = toGo(v.RawGetInt(i + 1))
			}
			return list
		}
		fields := map[string]any{}
		v.ForEach(func(k, x gopher.LValue) { fields[fmt.Sprint(k)] = toGo(x) })
		return fields
	}
	return nil
}
