package keystore

import (
	"slices"

	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// The commands on lists. Positions count from 0, negative ones from the end.
// An empty list is no list: its key goes.

func (c *call) items() []string {
	if c.e == nil {
		return nil
	}
	return c.e.value.(*list).items
}

func itemSize(v string) int { return len(v) + rules.PartSize }

// push makes room for the args and then lets insert add them.
func (c *call) push(insert func(items []string) []string) (any, error) {
	size, l := rules.PartSize, &list{}
	if c.e != nil {
		size, l = c.e.size-len(c.key)-rules.PartSize, c.e.value.(*list)
	}
	for _, v := range c.args {
		size += itemSize(v)
	}
	e, err := c.s.put(c.key, c.e, l, size)
	if err != nil {
		return nil, err
	}
	c.e, l.items = e, insert(l.items)
	return float64(len(l.items)), nil
}

// lpush puts each of the args at the front, so that the last comes first.
func (c *call) lpush() (any, error) {
	return c.push(func(items []string) []string {
		front := slices.Clone(c.args)
		slices.Reverse(front)
		return append(front, items...)
	})
}

func (c *call) rpush() (any, error) {
	return c.push(func(items []string) []string { return append(items, c.args...) })
}

// keep makes the list what is left of it.
func (c *call) keep(items []string) {
	size := 0
	for _, v := range c.items() {
		size += itemSize(v)
	}
	for _, v := range items {
		size -= itemSize(v)
	}
	c.e.value.(*list).items = items
	c.shrink(size)
	c.dropIf(len(items) == 0)
}

func (c *call) lpop() (any, error) {
	items := c.items()
	if len(items) == 0 {
		return nil, nil
	}
	first := items[0]
	l := c.e.value.(*list)
	items[0] = "" // its text is not kept
	l.items, l.taken = items[1:], l.taken+1
	c.took(first)
	return first, nil
}

// took accounts for an item that was taken. The list moves when most of its
// memory is unused: that is at most one copy of an item for each that was taken.
func (c *call) took(item string) {
	if l := c.e.value.(*list); l.taken+cap(l.items) > 2*len(l.items)+64 {
		l.items, l.taken = slices.Clone(l.items), 0
	}
	c.shrink(itemSize(item))
	c.dropIf(len(c.items()) == 0)
}

func (c *call) rpop() (any, error) {
	items := c.items()
	if len(items) == 0 {
		return nil, nil
	}
	last := items[len(items)-1]
	items[len(items)-1] = ""
	c.e.value.(*list).items = items[:len(items)-1]
	c.took(last)
	return last, nil
}

// between returns the items from the first position of the args to the second,
// both included.
func (c *call) between() ([]string, error) {
	items := c.items()
	from, err := c.position(0, len(items))
	if err != nil {
		return nil, err
	}
	to, err := c.position(1, len(items))
	if err != nil {
		return nil, err
	}
	from, to = max(from, 0), min(to, len(items)-1)
	if from > to {
		return nil, nil
	}
	return items[from : to+1], nil
}

func (c *call) lrange() (any, error) {
	items, err := c.between()
	return toAny(items), err
}

func (c *call) ltrim() (any, error) {
	items, err := c.between()
	if err != nil {
		return nil, err
	}
	if c.e != nil {
		c.keep(slices.Clone(items))
	}
	return "OK", nil
}

func (c *call) lindex() (any, error) {
	items := c.items()
	i, err := c.position(0, len(items))
	if err != nil || i < 0 || i >= len(items) {
		return nil, err
	}
	return items[i], nil
}

func (c *call) llen() (any, error) { return float64(len(c.items())), nil }

// lrem removes as many items equal to the second arg as the first says: from
// the front, from the end if it is negative, all if it is 0.
func (c *call) lrem() (any, error) {
	n, err := c.position(0, 0)
	if err != nil || c.e == nil {
		return 0.0, err
	}
	items := slices.Clone(c.items())
	if n < 0 {
		slices.Reverse(items)
	}
	removed := 0
	kept := slices.DeleteFunc(items, func(v string) bool {
		hit := v == c.args[1] && (n == 0 || removed < max(n, -n))
		removed += int(count(hit))
		return hit
	})
	if n < 0 {
		slices.Reverse(kept)
	}
	c.keep(kept)
	return float64(removed), nil
}
