package keystore

import (
	"maps"
	"slices"

	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// The commands on sets. An empty set is no set: its key goes.

func (c *call) members() set {
	if c.e == nil {
		return nil
	}
	return c.e.value.(set)
}

func (c *call) sadd() (any, error) {
	m, size, added := c.members(), rules.PartSize, set{}
	if c.e != nil {
		size = c.e.size - len(c.key) - rules.PartSize
	}
	for _, v := range c.args {
		if !m[v] && !added[v] {
			added[v] = true
			size += itemSize(v)
		}
	}
	if m == nil {
		m = set{}
	}
	e, err := c.s.put(c.key, c.e, m, size)
	if err != nil {
		return nil, err
	}
	c.e = e
	maps.Copy(m, added)
	return float64(len(added)), nil
}

func (c *call) srem() (any, error) {
	m, removed := c.members(), 0
	for _, v := range c.args {
		if m[v] {
			delete(m, v)
			c.shrink(itemSize(v))
			removed++
		}
	}
	c.dropIf(c.e != nil && len(m) == 0)
	return float64(removed), nil
}

// smembers returns the members sorted by bytes.
func (c *call) smembers() (any, error) {
	return toAny(slices.Sorted(maps.Keys(c.members()))), nil
}

func (c *call) sismember() (any, error) { return count(c.members()[c.args[0]]), nil }

func (c *call) scard() (any, error) { return float64(len(c.members())), nil }
