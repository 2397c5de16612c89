package vm

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"net/url"
	"slices"
	"strings"

	golua "github.com/Shopify/go-lua"
)

var base64Library = library{{"encode", base64Encode}, {"decode", base64Decode}}

var hexLibrary = library{{"encode", hexEncode}, {"decode", hexDecode}}

var urlLibrary = library{
	{"encode", urlEncode},
	{"decode", urlDecode},
	{"query", urlQuery},
	{"parse", urlParse},
}

var hashLibrary = library{
	{
		"md5",
		hashOf("md5"),
	}, {"sha1", hashOf("sha1")}, {"sha256", hashOf("sha256")}, {"sha512", hashOf("sha512")},
	{"crc32", hashCRC32}, {"hmac", hashHMAC},
}

// newHash are the hashes that scripts may ask for. Old ones are for the protocols that
// need them.
var newHash = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New,
}

// made pushes a string that a library function has made.
func (s *State) made(l *golua.State, text string) int {
	s.room(len(text))
	l.PushString(text)
	return 1
}

// failed pushes nil and what is wrong.
func failed(l *golua.State, text string) int {
	l.PushNil()
	l.PushString(text)
	return 2
}

// bytesArg is the string at i, which the function goes over once.
func (s *State) bytesArg(l *golua.State, i int) string {
	text := s.checkString(l, i)
	s.step(len(text) / 32)
	return text
}

func base64Encode(s *State, l *golua.State) int {
	text := s.bytesArg(l, 1)
	encoding := base64.StdEncoding
	if s.optString(l, 2, "") == "url" {
		encoding = base64.RawURLEncoding
	}
	return s.made(l, encoding.EncodeToString([]byte(text)))
}

// base64Decode takes either alphabet, with padding or without, and skips white space.
func base64Decode(s *State, l *golua.State) int {
	text := strings.Map(func(r rune) rune {
		switch {
		case r < 0x80 && isSpace(byte(r)):
			return -1
		case r == '-':
			return '+'
		case r == '_':
			return '/'
		}
		return r
	}, s.bytesArg(l, 1))
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return failed(l, "invalid base64")
	}
	return s.made(l, string(b))
}

func hexEncode(s *State, l *golua.State) int {
	return s.made(l, hex.EncodeToString([]byte(s.bytesArg(l, 1))))
}

func hexDecode(s *State, l *golua.State) int {
	b, err := hex.DecodeString(s.bytesArg(l, 1))
	if err != nil {
		return failed(l, "invalid hex")
	}
	return s.made(l, string(b))
}

// escapeURL leaves letters, digits and -_.~ as they are.
func escapeURL(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }

func urlEncode(s *State, l *golua.State) int { return s.made(l, escapeURL(s.bytesArg(l, 1))) }

func urlDecode(s *State, l *golua.State) int {
	text, err := url.QueryUnescape(s.bytesArg(l, 1))
	if err != nil {
		return failed(l, "invalid percent-encoding")
	}
	return s.made(l, text)
}

// urlQuery writes a table as a query, its keys in order; the values of an array are
// given one by one.
func urlQuery(s *State, l *golua.State) int {
	s.checkTable(l, 1)
	var parts []string
	size := 0
	add := func(key string, v Value) error {
		text, ok := scalarOf(v)
		if !ok {
			return fmt.Errorf("the value of %q is a %s", key, s.Type(v))
		}
		part := escapeURL(key) + "=" + escapeURL(text)
		size += len(part) + 1
		s.step(1 + len(part)/8)
		s.alloc(len(part))
		parts = append(parts, part)
		return nil
	}
	err := s.Each(l.ToValue(1), func(k, v Value) error {
		key, ok := scalarOf(k)
		if !ok {
			return fmt.Errorf("a key is a %s", s.Type(k))
		}
		if s.Type(v) != "table" {
			return add(key, v)
		}
		return s.Each(v, func(_, item Value) error { return add(key, item) })
	})
	if err != nil {
		s.errorf("url.query: %v", err)
	}
	s.room(size)
	l.PushString(strings.Join(parts, "&"))
	return 1
}

func scalarOf(v Value) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case float64:
		return FormatNumber(v), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// urlParse takes a URL apart; parameters is its query, the first value of each name.
func urlParse(s *State, l *golua.State) int {
	u, err := url.Parse(s.bytesArg(l, 1))
	if err != nil {
		return failed(l, "invalid URL")
	}
	l.CreateTable(0, 8)
	for _, f := range [][2]string{
		{"scheme", u.Scheme}, {"host", u.Hostname()}, {"port", u.Port()}, {"user", u.User.String()},
		{"path", u.Path}, {"query", u.RawQuery}, {"fragment", u.Fragment},
	} {
		if f[1] != "" {
			l.PushString(f[1])
			l.SetField(-2, f[0])
		}
	}
	values, _ := url.ParseQuery(u.RawQuery) // what is malformed is left out
	l.CreateTable(0, len(values))
	for name, all := range values {
		s.step(1)
		l.PushString(all[0])
		l.SetField(-2, name)
	}
	l.SetField(-2, "parameters")
	return 1
}

// hashOf returns the function of a hash, whose result is in hex.
func hashOf(name string) libraryFunction {
	return func(s *State, l *golua.State) int {
		h := newHash[name]()
		h.Write([]byte(s.bytesArg(l, 1)))
		return s.made(l, hex.EncodeToString(h.Sum(nil)))
	}
}

func hashCRC32(s *State, l *golua.State) int {
	l.PushNumber(float64(crc32.ChecksumIEEE([]byte(s.bytesArg(l, 1)))))
	return 1
}

// hashHMAC(name, key, text) authenticates a text; the result is in hex.
func hashHMAC(s *State, l *golua.State) int {
	name := s.checkString(l, 1)
	make := newHash[name]
	if make == nil {
		names := []string{}
		for n := range newHash {
			names = append(names, n)
		}
		slices.Sort(names)
		s.argError(1, "one of %s expected", strings.Join(names, ", "))
	}
	h := hmac.New(make, []byte(s.bytesArg(l, 2)))
	h.Write([]byte(s.bytesArg(l, 3)))
	return s.made(l, hex.EncodeToString(h.Sum(nil)))
}
