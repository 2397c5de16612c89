package redis

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/wsgateway/gateway/lua/keystore"
	"github.com/wsgateway/gateway/lua/keystore/internal/rules"
)

const many = math.MaxInt

// A command is one of Redis, with what makes its result that of the store in memory.
type command struct {
	min, max int // how many args
	run      func(s *Store, c *call) (any, error)
}

// A call is one run of a command.
type call struct {
	ctx  context.Context
	name string
	key  string // with the prefix
	args []string
}

// commands are those of keystore.Store.Command.
var commands = map[string]command{
	"del": {0, 0, asIs}, "exists": {0, 0, asIs}, "type": {0, 0, asIs}, "persist": {0, 0, asIs},
	"expire": {1, 1, asIs}, "pexpire": {1, 1, asIs}, "expireat": {1, 1, asIs}, "pexpireat": {1, 1,
		asIs},
	"ttl": {0, 0, asIs}, "pttl": {0, 0, asIs},

	"get": {0, 0, text}, "set": {1, 4, set}, "setex": {2, 2, setFor}, "setnx": {1, 1, stored},
	"getset": {1, 1, stored}, "append": {1, 1, appendText}, "strlen": {0, 0, length},
	"incr": {0, 0, add(1, false)}, "decr": {0, 0, add(-1, false)},
	"incrby": {1, 1, add(1, true)}, "decrby": {1, 1, add(-1, true)}, "incrbyfloat": {1, 1, add(1,
		true)},

	"hset": {2, many, asIs}, "hmset": {2, many, asIs}, "hsetnx": {2, 2, asIs}, "hget": {1, 1, asIs},
	"hmget": {1, many, asIs}, "hgetall": {0, 0, fields}, "hdel": {1, many, asIs}, "hexists": {1, 1,
		asIs},
	"hkeys": {0, 0, fields}, "hvals": {0, 0, fields}, "hlen": {0, 0, asIs},
	"hincrby": {2, 2, hashAdd}, "hincrbyfloat": {2, 2, hashAdd},

	"lpush": {1, many, asIs}, "rpush": {1, many, asIs}, "lpop": {0, 0, asIs}, "rpop": {0, 0, asIs},
	"lrange": {2, 2, whole(2)}, "ltrim": {2, 2, whole(2)}, "lindex": {1, 1, whole(1)},
	"llen": {0, 0, asIs},
	"lrem": {2, 2, whole(1)},

	"sadd": {1, many, asIs}, "srem": {1, many, asIs}, "smembers": {0, 0, sorted},
	"sismember": {1, 1, asIs}, "scard": {0, 0, asIs},
}

// Command runs one of the commands of [keystore.Store.Command].
func (s *Store) Command(ctx context.Context, args keystore.CommandArgs) (keystore.Value, error) {
	name := strings.ToLower(args.Command)
	cmd, ok := commands[name]
	if !ok {
		return keystore.Value{}, invalidf("command %.40q: expected one of %s", args.Command,
			strings.Join(slices.Sorted(maps.Keys(commands)), ", "))
	}
	c := &call{ctx: ctx, name: name, args: make([]string, len(args.Args))}
	size := 0
	for i, a := range args.Args {
		var err error
		if c.args[i], err = rules.Text(a); err != nil {
			return keystore.Value{}, err
		}
		size += len(c.args[i])
	}
	if n := len(c.args); n < cmd.min || n > cmd.max {
		return keystore.Value{}, invalidf("command %s: %d values in args are too few or too many", name,
			n)
	}
	var err error
	if c.key, err = s.key(args.Key); err != nil {
		return keystore.Value{}, err
	}
	if err := s.checkSize(args.Key, size); err != nil {
		return keystore.Value{}, err
	}
	v, err := cmd.run(s, c)
	return keystore.Value{Value: v}, err
}

// do sends a command, and turns the result into values of scripts.
func (s *Store) do(c *call, name string, args ...string) (any, error) {
	words := make([]any, 0, 2+len(args))
	words = append(words, name, c.key)
	for _, a := range args {
		words = append(words, a)
	}
	v, err := s.c.Do(c.ctx, words...).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, failure(err)
	}
	return value(v), nil
}

func value(v any) any {
	switch v := v.(type) {
	case int64:
		return float64(v)
	case bool:
		if v {
			return 1.0
		}
		return 0.0
	case []any:
		for i := range v {
			v[i] = value(v[i])
		}
	}
	return v
}

func asIs(s *Store, c *call) (any, error) { return s.do(c, c.name, c.args...) }

// whole is for a command whose first args are whole numbers, which Redis does not look at
// where there is no list.
func whole(n int) func(s *Store, c *call) (any, error) {
	return func(s *Store, c *call) (any, error) {
		for _, a := range c.args[:n] {
			if _, err := strconv.Atoi(a); err != nil {
				return nil, invalidf("command %s: expected a whole number, found %.40q", c.name, a)
			}
		}
		return asIs(s, c)
	}
}

func text(s *Store, c *call) (any, error) {
	v, err := s.do(c, c.name, c.args...)
	if raw, ok := v.(string); ok {
		return plain(raw), err
	}
	return v, err
}

// stored is for a command with one value that becomes the key's.
func stored(s *Store, c *call) (any, error) {
	c.args[0] = encodeText(c.args[0])
	return text(s, c)
}

func set(s *Store, c *call) (any, error) {
	words := []string{encodeText(c.args[0])}
	for i := 1; i < len(c.args); i++ {
		switch opt := strings.ToUpper(c.args[i]); {
		case opt == "NX", opt == "XX":
			words = append(words, opt)
		case (opt == "EX" || opt == "PX") && i+1 < len(c.args):
			i++
			ms, err := milliseconds(c.name, opt, c.args[i])
			if err != nil {
				return nil, err
			}
			words = append(words, "PX", ms)
		default:
			return nil, invalidf("command set: expected EX seconds, PX milliseconds, NX or XX after the "+
				"value, found %.40q", opt)
		}
	}
	return s.do(c, "set", words...)
}

func milliseconds(name, unit, arg string) (string, error) {
	n, ok := rules.Number(arg)
	if !ok || n <= 0 {
		return "", invalidf("command %s: expected a time above 0, found %.40q", name, arg)
	}
	if unit == "PX" {
		n /= 1000
	}
	ttl, err := lifetime(n)
	return strconv.FormatInt(ttl.Milliseconds(), 10), err
}

func setFor(s *Store, c *call) (any, error) {
	ms, err := milliseconds(c.name, "EX", c.args[0])
	if err != nil {
		return nil, err
	}
	return s.do(c, "set", encodeText(c.args[1]), "PX", ms)
}

func fields(s *Store, c *call) (any, error) {
	all, err := s.c.HGetAll(c.ctx, c.key).Result()
	if err != nil {
		return nil, failure(err)
	}
	result := make(map[string]any, len(all))
	list := []any{}
	for _, field := range slices.Sorted(maps.Keys(all)) {
		result[field] = all[field]
		if c.name == "hkeys" {
			list = append(list, field)
		} else {
			list = append(list, all[field])
		}
	}
	if c.name == "hgetall" {
		return result, nil
	}
	return list, nil
}

func sorted(s *Store, c *call) (any, error) {
	v, err := s.do(c, c.name)
	if list, ok := v.([]any); ok {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
	}
	return v, err
}

func hashAdd(s *Store, c *call) (any, error) {
	v, err := s.do(c, "hincrbyfloat", c.args...)
	if err != nil {
		return nil, err
	}
	f, err := strconv.ParseFloat(v.(string), 64)
	if err != nil {
		return nil, invalidf("command %s: the sum %.40q is not a number", c.name, v)
	}
	return f, nil
}

func add(sign float64, arg bool) func(s *Store, c *call) (any, error) {
	return func(s *Store, c *call) (any, error) {
		by := 1.0
		if arg {
			var ok bool
			if by, ok = rules.Number(c.args[0]); !ok {
				return nil, invalidf("command %s: expected a number, found %.40q", c.name, c.args[0])
			}
		}
		return s.add(c.ctx, c.key, sign*by)
	}
}

// The scripts see of a stored string what commands see, and store what encodeText does.
// Each is one atomic step.
var (
	addScript = redis.NewScript(`
local v = redis.call('GET', KEYS[1]) or '0'
local mark = string.sub(v, 1, 2)
if mark == '\0s' then v = string.sub(v, 3) end
local n = tonumber(v)
if string.find(v, '^%s*0[xX]') then n = nil end
if not n then return redis.error_reply('ERR expected a number to add to') end
local sum = n + tonumber(ARGV[1])
if sum ~= sum or sum == math.huge or sum == -math.huge then
  return redis.error_reply('ERR the sum is not a number')
end
local text = string.format('%.17g', sum)
local ttl = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], text)
if ttl > 0 then redis.call('PEXPIRE', KEYS[1], ttl) end
return text`)

	appendScript = redis.NewScript(`
local v = redis.call('GET', KEYS[1]) or ''
local mark = string.sub(v, 1, 2)
if mark == '\0s' or mark == '\0j' then v = string.sub(v, 3) end
v = v .. ARGV[1]
if #v > tonumber(ARGV[2]) then return -1 end
local size = #v
if string.find(v, '^[%z+%-.0-9]') then v = '\0s' .. v end
local ttl = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], v)
if ttl > 0 then redis.call('PEXPIRE', KEYS[1], ttl) end
return size`)
)

func (s *Store) add(ctx context.Context, key string, by float64) (any, error) {
	v, err := addScript.Run(ctx, s.c, []string{key}, rules.FormatNumber(by)).Text()
	if err != nil {
		return nil, failure(err)
	}
	sum, err := strconv.ParseFloat(v, 64)
	if err != nil {
		return nil, invalidf("the sum %.40q is not a number", v)
	}
	return sum, nil
}

func appendText(s *Store, c *call) (any, error) {
	n, err := appendScript.Run(c.ctx, s.c, []string{c.key}, c.args[0], s.most).Int64()
	if err != nil {
		return nil, failure(err)
	}
	if n < 0 {
		return nil, s.checkSize(strings.TrimPrefix(c.key, s.prefix), math.MaxInt)
	}
	return float64(n), nil
}

func length(s *Store, c *call) (any, error) {
	v, err := s.do(c, "get")
	if raw, ok := v.(string); ok {
		return float64(len(plain(raw))), nil
	}
	if err != nil {
		return nil, err
	}
	return 0.0, nil
}
