package keystore

import "github.com/wsgateway/gateway/lua"

// Service returns the operations of s under the names that scripts call them
// by: get, set, delete, increment, list, clear, info and command. Hosts offer it
// as Keystore:
//
//	lua.Options{Services: map[string]lua.Service{"Keystore": keystore.New(nil).Service()}}
func (s *Store) Service() lua.Service {
	return lua.Service{
		"get":       lua.Func(s.Get),
		"set":       lua.Func(s.Set),
		"delete":    lua.Func(s.Delete),
		"increment": lua.Func(s.Increment),
		"list":      lua.Func(s.List),
		"clear":     lua.Func(s.Clear),
		"info":      lua.Func(s.Info),
		"command":   lua.Func(s.Command),
	}
}
