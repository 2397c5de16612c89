package vm

import (
	"slices"

	golua "github.com/Shopify/go-lua"
)

// A Source fills a lazy table: Keys are the fields there are, and Field makes
// one of them, at most once. There are up to 64.
type Source interface {
	Keys() []string
	Field(s *State, key string) Value
}

// lazyKey is where a lazy table keeps its source until it is filled. No script
// can name it, and no traversal shows it.
type lazyKey struct{}

type lazyTable struct {
	source Source
	made   uint64 // bit i: Keys()[i] was made, and may have been cleared since
}

// NewLazy returns a table whose fields are made when a script first reads them.
// To the script it is a table like any other: it can be traversed, and fields
// assigned.
func (s *State) NewLazy(source Source) Value {
	l := s.l
	l.NewTable()
	l.PushLightUserData(lazyKey{})
	l.PushUserData(&lazyTable{source: source})
	l.RawSet(-3)
	s.push(s.lazy)
	l.SetMetaTable(-2)
	return s.pop()
}

func (s *State) openLazy() {
	l := s.l
	l.NewTable()
	s.lazy = l.ToValue(-1)
	s.pushFunction("index", lazyIndex)
	l.SetField(-2, "__index")
	s.pushFunction("newindex", lazyNewIndex)
	l.SetField(-2, "__newindex")
	l.PushBoolean(false)
	l.SetField(-2, "__metatable")
	l.Pop(1)
}

// isLazy reports whether the table at index has not been filled.
func (s *State) isLazy(l *golua.State, index int) bool {
	if !l.IsTable(index) || !l.MetaTable(index) {
		return false
	}
	lazy := l.ToValue(-1) == s.lazy
	l.Pop(1)
	return lazy
}

func lazyOf(l *golua.State, index int) *lazyTable {
	l.RawGetValue(index, lazyKey{})
	t, _ := l.ToUserData(-1).(*lazyTable)
	l.Pop(1)
	return t
}

func lazyIndex(s *State, l *golua.State) int {
	key, ok := l.ToValue(2).(string)
	t := lazyOf(l, 1)
	if !ok || t == nil {
		return 0
	}
	i := slices.Index(t.source.Keys(), key)
	if i < 0 || t.made&(1<<i) != 0 {
		return 0
	}
	t.made |= 1 << i
	v := t.source.Field(s, key)
	if v == nil {
		return 0
	}
	if text, ok := v.(string); ok {
		s.alloc(len(text))
		s.long(len(text))
	}
	l.PushString(key)
	s.push(v)
	l.RawSet(1)
	s.push(v)
	return 1
}

// lazyNewIndex is called for fields that the table does not have now.
func lazyNewIndex(s *State, l *golua.State) int {
	s.fill(l, 1)
	l.SetTop(3)
	l.RawSet(1)
	return 0
}

// fill makes all fields and turns the table at index into a plain one.
func (s *State) fill(l *golua.State, index int) {
	index = l.AbsIndex(index)
	t := lazyOf(l, index)
	l.PushNil()
	l.SetMetaTable(index)
	if t == nil {
		return
	}
	l.PushLightUserData(lazyKey{})
	l.PushNil()
	l.RawSet(index)
	for i, key := range t.source.Keys() {
		if t.made&(1<<i) != 0 {
			continue
		}
		if v := t.source.Field(s, key); v != nil {
			if text, ok := v.(string); ok {
				s.alloc(len(text))
				s.long(len(text))
			}
			l.PushString(key)
			s.push(v)
			l.RawSet(index)
		}
	}
}
