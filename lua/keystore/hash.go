package keystore

import (
	"maps"
	"math"
	"slices"

	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// The commands on hashes. An empty hash is no hash: its key goes.

func (c *call) hash() hash {
	if c.e == nil {
		return nil
	}
	return c.e.value.(hash)
}

func fieldSize(field, value string) int { return len(field) + len(value) + rules.PartSize }

// setFields stores fields and returns how many are new. On error nothing has
// changed.
func (c *call) setFields(fields hash) (int, error) {
	h, added := c.hash(), 0
	size := rules.PartSize
	if c.e != nil {
		size = c.e.size - len(c.key) - rules.PartSize
	}
	for f, v := range fields {
		old, ok := h[f]
		if ok {
			size -= fieldSize(f, old)
		} else {
			added++
		}
		size += fieldSize(f, v)
	}
	if h == nil {
		h = make(hash, len(fields))
	}
	e, err := c.s.put(c.key, c.e, h, size)
	if err != nil {
		return 0, err
	}
	c.e = e
	maps.Copy(h, fields)
	return added, nil
}

func (c *call) pairs() (hash, error) {
	if len(c.args)%2 != 0 {
		return nil, invalidf("command %s: expected a value after each field, the last has none", c.name)
	}
	fields := make(hash, len(c.args)/2)
	for i := 0; i < len(c.args); i += 2 {
		fields[c.args[i]] = c.args[i+1]
	}
	return fields, nil
}

func (c *call) hset() (any, error) {
	fields, err := c.pairs()
	if err != nil {
		return nil, err
	}
	added, err := c.setFields(fields)
	return float64(added), err
}

func (c *call) hmset() (any, error) {
	if _, err := c.hset(); err != nil {
		return nil, err
	}
	return "OK", nil
}

func (c *call) hsetnx() (any, error) {
	if _, ok := c.hash()[c.args[0]]; ok {
		return 0.0, nil
	}
	return c.hset()
}

func (c *call) hget() (any, error) {
	if v, ok := c.hash()[c.args[0]]; ok {
		return v, nil
	}
	return nil, nil
}

// hmget returns an array in which fields that are not there are nil.
func (c *call) hmget() (any, error) {
	values := make([]any, len(c.args))
	for i, f := range c.args {
		if v, ok := c.hash()[f]; ok {
			values[i] = v
		}
	}
	return values, nil
}

func (c *call) hgetall() (any, error) {
	all := make(map[string]any, len(c.hash()))
	for f, v := range c.hash() {
		all[f] = v
	}
	return all, nil
}

func (c *call) hdel() (any, error) {
	h, removed := c.hash(), 0
	for _, f := range c.args {
		if v, ok := h[f]; ok {
			delete(h, f)
			c.shrink(fieldSize(f, v))
			removed++
		}
	}
	c.dropIf(c.e != nil && len(h) == 0)
	return float64(removed), nil
}

func (c *call) hexists() (any, error) {
	_, ok := c.hash()[c.args[0]]
	return count(ok), nil
}

func (c *call) hkeys() (any, error) {
	return toAny(slices.Sorted(maps.Keys(c.hash()))), nil
}

// hvals returns the values in the order of hkeys.
func (c *call) hvals() (any, error) {
	values := []any{}
	for _, f := range slices.Sorted(maps.Keys(c.hash())) {
		values = append(values, c.hash()[f])
	}
	return values, nil
}

func (c *call) hlen() (any, error) { return float64(len(c.hash())), nil }

func (c *call) hincrby() (any, error) {
	by, err := c.number(1)
	if err != nil {
		return nil, err
	}
	var old float64
	if v, found := c.hash()[c.args[0]]; found {
		var ok bool
		if old, ok = number(v); !ok {
			return nil, invalidf("command %s: field %.80q holds no number", c.name, c.args[0])
		}
	}
	sum := old + by
	if math.IsInf(sum, 0) {
		return nil, invalidf("command %s: the sum is too large", c.name)
	}
	if _, err := c.setFields(hash{c.args[0]: rules.FormatNumber(sum)}); err != nil {
		return nil, err
	}
	return sum, nil
}

// shrink takes n off the size of the entry.
func (c *call) shrink(n int) {
	c.e.size -= n
	c.s.bytes -= n
}

// dropIf removes the entry when it has become empty.
func (c *call) dropIf(empty bool) {
	if empty {
		c.s.remove(c.e)
		c.e = nil
	}
}

func toAny(items []string) []any {
	all := make([]any, len(items))
	for i, v := range items {
		all[i] = v
	}
	return all
}
