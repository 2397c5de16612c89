package keystore

import (
	"context"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

// CommandArgs are the arguments of [Store.Command].
type CommandArgs struct {
	Key     string `json:"key"`            // of the value that the command works on
	Command string `json:"command"`        // in any case
	Args    []any  `json:"args,omitempty"` // of the command, after the key
}

// Command runs one of the commands on strings, hashes, lists and sets by which
// scripts of the original platform keep state: those of Redis, of the same
// names, arguments and results, for one key. The page for script authors lists
// them. Elements are text: a number or a boolean that is stored comes back as
// the text that spells it. A list of results is []any, a hash map[string]any.
func (s *Store) Command(_ context.Context, args CommandArgs) (Value, error) {
	cmd, ok := commands[strings.ToLower(args.Command)]
	if !ok {
		return Value{},
			invalidf("command %.40q: expected one of %s", args.Command,
				strings.Join(slices.Sorted(maps.Keys(commands)), ", "))
	}
	c := call{s: s, name: strings.ToLower(args.Command), key: args.Key,
		args: make([]string, len(args.Args))}
	for i, a := range args.Args {
		var err error
		if c.args[i], err = rules.Text(a); err != nil {
			return Value{}, err
		}
	}
	if n := len(c.args); n < cmd.min || n > cmd.max {
		return Value{}, invalidf("command %s: expected %s in args, found %d values", c.name, cmd.usage, n)
	}
	defer s.lock()()
	e, err := s.find(args.Key)
	if err != nil {
		return Value{}, err
	}
	if c.e = e; e != nil && cmd.kind != "" && cmd.kind != kindOf(e.value) {
		return Value{}, wrongType(args.Key, kindOf(e.value), "a "+cmd.kind)
	}
	v, err := cmd.run(&c)
	if err != nil {
		return Value{}, err
	}
	return Value{v}, nil
}

// A call is one run of a command, under the lock of the store.
type call struct {
	s    *Store
	name string
	key  string
	e    *entry // nil if the key holds nothing
	args []string
}

type command struct {
	kind     string // of the value that the key may hold; "" for any
	min, max int    // how many args
	usage    string
	run      func(c *call) (any, error)
}

const many = math.MaxInt

// commands is complete after init; only read.
var commands = map[string]command{
	"del":    {"", 0, 0, "nothing", (*call).del},
	"exists": {"", 0, 0, "nothing", func(c *call) (any, error) { return count(c.e != nil), nil }},
	"type":   {"", 0, 0, "nothing", (*call).kind},
	"expire": {"", 1, 1, "seconds", func(c *call) (any, error) { return c.expire(time.Second) }},
	"pexpire": {"", 1, 1, "milliseconds",
		func(c *call) (any, error) { return c.expire(time.Millisecond) }},
	"expireat": {"", 1, 1, "seconds since 1970",
		func(c *call) (any, error) { return c.expireAt(time.Second) }},
	"pexpireat": {"", 1, 1, "milliseconds since 1970",
		func(c *call) (any, error) { return c.expireAt(time.Millisecond) }},
	"persist": {"", 0, 0, "nothing", (*call).persist},
	"ttl":     {"", 0, 0, "nothing", func(c *call) (any, error) { return c.ttl(time.Second) }},
	"pttl":    {"", 0, 0, "nothing", func(c *call) (any, error) { return c.ttl(time.Millisecond) }},

	"get": {"string", 0, 0, "nothing", (*call).get},
	"set": {"", 1, 4, "a value, then EX seconds or PX milliseconds, NX or XX", (*call).set},
	"setex": {"", 2, 2, "seconds and a value",
		func(c *call) (any, error) { return c.setFor(c.args[1], c.args[0]) }},
	"setnx":  {"", 1, 1, "a value", (*call).setnx},
	"getset": {"string", 1, 1, "a value", (*call).getset},
	"append": {"string", 1, 1, "a value", (*call).append},
	"strlen": {"string", 0, 0, "nothing", (*call).strlen},
	"incr": {"string", 0, 0, "nothing",
		func(c *call) (any, error) { return c.s.add(c.key, 1) }},
	"decr": {"string", 0, 0, "nothing",
		func(c *call) (any, error) { return c.s.add(c.key, -1) }},
	"incrby":      {"string", 1, 1, "a number", func(c *call) (any, error) { return c.addBy(1) }},
	"decrby":      {"string", 1, 1, "a number", func(c *call) (any, error) { return c.addBy(-1) }},
	"incrbyfloat": {"string", 1, 1, "a number", func(c *call) (any, error) { return c.addBy(1) }},

	"hset":         {"hash", 2, many, "fields and values in turn", (*call).hset},
	"hmset":        {"hash", 2, many, "fields and values in turn", (*call).hmset},
	"hsetnx":       {"hash", 2, 2, "a field and a value", (*call).hsetnx},
	"hget":         {"hash", 1, 1, "a field", (*call).hget},
	"hmget":        {"hash", 1, many, "fields", (*call).hmget},
	"hgetall":      {"hash", 0, 0, "nothing", (*call).hgetall},
	"hdel":         {"hash", 1, many, "fields", (*call).hdel},
	"hexists":      {"hash", 1, 1, "a field", (*call).hexists},
	"hkeys":        {"hash", 0, 0, "nothing", (*call).hkeys},
	"hvals":        {"hash", 0, 0, "nothing", (*call).hvals},
	"hlen":         {"hash", 0, 0, "nothing", (*call).hlen},
	"hincrby":      {"hash", 2, 2, "a field and a number", (*call).hincrby},
	"hincrbyfloat": {"hash", 2, 2, "a field and a number", (*call).hincrby},

	"lpush":  {"list", 1, many, "values", (*call).lpush},
	"rpush":  {"list", 1, many, "values", (*call).rpush},
	"lpop":   {"list", 0, 0, "nothing", (*call).lpop},
	"rpop":   {"list", 0, 0, "nothing", (*call).rpop},
	"lrange": {"list", 2, 2, "the first and the last position", (*call).lrange},
	"ltrim":  {"list", 2, 2, "the first and the last position", (*call).ltrim},
	"lindex": {"list", 1, 1, "a position", (*call).lindex},
	"llen":   {"list", 0, 0, "nothing", (*call).llen},
	"lrem":   {"list", 2, 2, "how many and a value", (*call).lrem},

	"sadd":      {"set", 1, many, "values", (*call).sadd},
	"srem":      {"set", 1, many, "values", (*call).srem},
	"smembers":  {"set", 0, 0, "nothing", (*call).smembers},
	"sismember": {"set", 1, 1, "a value", (*call).sismember},
	"scard":     {"set", 0, 0, "nothing", (*call).scard},
}
