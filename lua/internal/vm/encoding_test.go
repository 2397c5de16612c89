package vm

import (
	"strings"
	"testing"
)

func TestEncodings(t *testing.T) {
	for _, c := range [][2]string{
		{
			`return base64.encode("\255\254a"), base64.encode("\255\254a", "url"), base64.encode("")`,
			"//5h __5h ",
		},
		{
			`return base64.decode("//5h") == "\255\254a", base64.decode("__5h") == "\255\254a", ` +
				`base64.decode("aGk"), base64.decode("aG k=\n")`,
			"true true hi hi",
		},
		{
			`return base64.decode("a"), base64.decode("ä"), select(2, base64.decode("!!!!"))`,
			"nil nil invalid base64",
		},
		{
			`return hex.encode("\0\255a"), hex.decode("00fF61") == "\0\255a", hex.decode("0"), ` +
				`select(2, hex.decode("xx"))`,
			"00ff61 true nil invalid hex",
		},
		{
			`return url.encode("a b&c=ä/~-_."), url.decode("a%20b+c%C3%A4"), url.decode("%zz")`,
			"a%20b%26c%3D%C3%A4%2F~-_. a b cä nil invalid percent-encoding",
		},
		{
			`return url.query{b = {1, "x y"}, a = true, c = 1.5}, url.query{}`,
			"a=true&b=1&b=x%20y&c=1.5 ",
		},
		{
			`return pcall(url.query, {a = {{}}})`,
			`false url.query: the value of "a" is a table`,
		},
		{
			`local u = url.parse("https://u@h.example:8443/p/q?a=1&b=x%20y&a=2#f") return u.scheme, ` +
				`u.host, u.port, u.user, u.path, u.query, u.fragment, u.parameters.a, u.parameters.b`,
			"https h.example 8443 u /p/q a=1&b=x%20y&a=2 f 1 x y",
		},
		{
			`local u = url.parse("/p") return u.scheme, u.path, next(u.parameters), url.parse(":")`,
			"nil /p nil nil invalid URL",
		},
		{
			`return hash.md5(""), hash.sha1("abc")`,
			"d41d8cd98f00b204e9800998ecf8427e a9993e364706816aba3e25717850c26c9cd0d89d",
		},
		{
			`return hash.sha256("abc"), #hash.sha512("abc"), hash.crc32("123456789")`,
			"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad 128 3421780262",
		},
		{
			`return hash.hmac("sha256", "key", "The quick brown fox jumps over the lazy dog")`,
			"f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
		},
		{
			`return pcall(hash.hmac, "sha3", "k", "t")`,
			"false bad argument #1 to 'hmac' (one of md5, sha1, sha256, sha512 expected)",
		},
		{
			`return require("base64") == base64, require "hash" == hash`,
			"true true",
		},
		{
			`return pcall(base64.encode)`,
			"false bad argument #1 to 'encode' (string expected, got no " + "value)",
		},
	} {
		source, want := c[0], c[1]
		if got, err := runLua(t, source, Limits{}); got != want || err != nil {
			t.Errorf("%s\n got %q, %v\nwant %q", source, got, err, want)
		}
	}
}

// What they go over and make counts.
func TestEncodingsAreBounded(t *testing.T) {
	for source, want := range map[string]string{
		`local s = ("x"):rep(1e6) while true do hash.sha512(s) end`:                      "instructions",
		`local s = ("x"):rep(3e6) return hex.encode(s)`:                                  "too large",
		`local t, s = {}, ("x"):rep(1e5) while true do t[#t + 1] = base64.encode(s) end`: "memory",
		`local t = {} for i = 1, 100 do t[i] = ("ä"):rep(1e4) end return #url.query(t)`:  "too large",
	} {
		if _, err := runLua(t, source, Limits{Memory: 8 << 20, Instructions: 1e7}); err == nil ||
			!strings.Contains(err.Error(), want) && err.(*Error).Budget != want {
			t.Errorf("%s: %v, want %s", source, err, want)
		}
	}
}
