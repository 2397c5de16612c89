package vm

import (
	"encoding/binary"
	"slices"
)

// Uses says which globals a chunk uses that have the names of services.
type Uses struct {
	Reads  map[string]int // by name, the line where it is first read
	Writes map[string]int // by name, the line where it is first assigned
}

// note looks at the globals that a function and those in it use.
func (u *Uses) note(p *proto) {
	env := slices.IndexFunc(p.upvalues, isEnv)
	if env >= 0 {
		texts := p.texts()
		for pc, i := range p.code {
			var key int
			var lines *map[string]int
			switch {
			case i.op() == opGetTabUp && i.b() == env:
				key, lines = i.c(), &u.Reads
			case i.op() == opSetTabUp && i.a() == env:
				key, lines = i.b(), &u.Writes
			}
			if key&constantBit == 0 || lines == nil {
				continue
			}
			name := texts[key&^constantBit]
			if _, ok := (*lines)[name]; ok || !IsServiceName(name) {
				continue
			}
			if *lines == nil {
				*lines = make(map[string]int)
			}
			(*lines)[name] = int(p.lineInfo[pc])
		}
	}
	for _, child := range p.protos {
		u.note(child)
	}
}

// texts returns the constants that are strings; others are "".
func (p *proto) texts() []string {
	d := &decoder{b: p.constants}
	texts := make([]string, d.count(1))
	for i := range texts {
		switch d.byte() {
		case 1:
			d.byte()
		case 3:
			d.take(8)
		case 4:
			if b := d.string(); len(b) > 8 {
				n := binary.LittleEndian.Uint64(b)
				texts[i] = string(b[8 : 8+n-1])
			}
		}
	}
	return texts
}

// longest returns the length of the longest string in a function and those in it.
func (p *proto) longest() int {
	n := 0
	for _, text := range p.texts() {
		n = max(n, len(text))
	}
	for _, child := range p.protos {
		n = max(n, child.longest())
	}
	return n
}
