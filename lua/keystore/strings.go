package keystore

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// The commands on keys and strings. A value that Set stored counts as the
// string that spells it.

func count(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}

func (c *call) del() (any, error) {
	c.s.remove(c.e)
	return count(c.e != nil), nil
}

func (c *call) kind() (any, error) {
	if c.e == nil {
		return "none", nil
	}
	return kindOf(c.e.value), nil
}

// number returns one of the args.
func (c *call) number(i int) (float64, error) {
	f, ok := number(c.args[i])
	if !ok {
		return 0, invalidf("command %s: expected a number, found %.40q", c.name, c.args[i])
	}
	return f, nil
}

func (c *call) expire(unit time.Duration) (any, error) {
	n, err := c.number(0)
	if err != nil || c.e == nil {
		return 0.0, err
	}
	if n <= 0 {
		return c.del()
	}
	t, err := after(n * unit.Seconds())
	if err != nil {
		return nil, err
	}
	c.s.expireAt(c.e, t)
	return 1.0, nil
}

func (c *call) expireAt(unit time.Duration) (any, error) {
	n, err := c.number(0)
	if err != nil || c.e == nil {
		return 0.0, err
	}
	left := n*unit.Seconds() - float64(time.Now().UnixMilli())/1000
	if left <= 0 {
		return c.del()
	}
	t, err := after(left)
	if err != nil {
		return nil, err
	}
	c.s.expireAt(c.e, t)
	return 1.0, nil
}

func (c *call) persist() (any, error) {
	if c.e == nil || c.e.index < 0 {
		return 0.0, nil
	}
	c.s.expireAt(c.e, time.Time{})
	return 1.0, nil
}

// ttl returns -2 for no key and -1 for one that does not expire.
func (c *call) ttl(unit time.Duration) (any, error) {
	switch {
	case c.e == nil:
		return -2.0, nil
	case c.e.index < 0:
		return -1.0, nil
	}
	return math.Round(float64(time.Until(c.e.expires)) / float64(unit)), nil
}

func (c *call) get() (any, error) {
	if c.e == nil {
		return nil, nil
	}
	return rules.Text(c.e.value)
}

// put stores a string.
func (c *call) put(value string) (err error) {
	c.e, err = c.s.put(c.key, c.e, value, len(value)+rules.PartSize)
	return err
}

func (c *call) set() (any, error) {
	var (
		expires time.Time
		err     error
	)
	for i := 1; i < len(c.args); i++ {
		switch opt := strings.ToUpper(c.args[i]); {
		case opt == "NX" && c.e != nil, opt == "XX" && c.e == nil:
			return nil, nil
		case opt == "NX", opt == "XX":
		case (opt == "EX" || opt == "PX") && i+1 < len(c.args):
			if expires, err = c.lifetime(opt, c.args[i+1]); err != nil {
				return nil, err
			}
			i++
		default:
			return nil, invalidf("command set: expected %s, found %.40q", commandSetUsage, c.args[i])
		}
	}
	if err := c.put(c.args[0]); err != nil {
		return nil, err
	}
	c.s.expireAt(c.e, expires)
	return "OK", nil
}

const commandSetUsage = "EX seconds, PX milliseconds, NX or XX after the value"

func (c *call) lifetime(unit, arg string) (time.Time, error) {
	n, ok := number(arg)
	if !ok || n <= 0 {
		return time.Time{}, invalidf("command %s: expected a time above 0, found %.40q", c.name, arg)
	}
	if unit == "PX" {
		n /= 1000
	}
	return after(n)
}

func (c *call) setFor(value, seconds string) (any, error) {
	expires, err := c.lifetime("EX", seconds)
	if err == nil {
		err = c.put(value)
	}
	if err != nil {
		return nil, err
	}
	c.s.expireAt(c.e, expires)
	return "OK", nil
}

func (c *call) setnx() (any, error) {
	if c.e != nil {
		return 0.0, nil
	}
	return 1.0, c.put(c.args[0])
}

func (c *call) getset() (any, error) {
	old, err := c.get()
	if err == nil {
		err = c.put(c.args[0])
	}
	if err != nil {
		return nil, err
	}
	c.s.expireAt(c.e, time.Time{})
	return old, nil
}

func (c *call) append() (any, error) {
	old, err := c.get()
	if err != nil {
		return nil, err
	}
	value, _ := old.(string)
	value += c.args[0]
	return float64(len(value)), c.put(value)
}

func (c *call) strlen() (any, error) {
	old, err := c.get()
	value, _ := old.(string)
	return float64(len(value)), err
}

func (c *call) addBy(sign float64) (any, error) {
	n, err := c.number(0)
	if err != nil {
		return nil, err
	}
	return c.s.add(c.key, sign*n)
}

// add is Increment under the lock.
func (s *Store) add(key string, by float64) (any, error) {
	e, err := s.find(key)
	if err != nil {
		return nil, err
	}
	var old float64
	if e != nil {
		var ok bool
		if old, ok = number(e.value); !ok {
			return nil, invalidf("key %.80q: expected a number to add to", key)
		}
	}
	sum := old + by
	if math.IsNaN(sum) || math.IsInf(sum, 0) {
		return nil,
			invalidf("key %.80q: the sum of %s and %s is not a number", key, rules.FormatNumber(old),
				rules.FormatNumber(by))
	}
	_, err = s.put(key, e, sum, rules.PartSize)
	return sum, err
}

// position turns an index from the end, which is negative, into one from the
// start.
func (c *call) position(i, length int) (int, error) {
	n, err := strconv.Atoi(c.args[i])
	if err != nil {
		return 0, invalidf("command %s: expected a whole number, found %.40q", c.name, c.args[i])
	}
	if n < 0 {
		n += length
	}
	return n, nil
}
