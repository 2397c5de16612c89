package forwarded_test

import (
	"strings"
	"testing"

	"github.com/wsgateway/gateway/internal/forwarded"
)

// What a person writes has the form in which browsers send it, or can never match.
func TestListedOrigin(t *testing.T) {
	for s, want := range map[string]string{
		"https://app.example":                   "https://app.example",
		"HTTPS://App.Example":                   "https://app.example",
		"https://app.example:443":               "https://app.example",
		"http://app.example:80":                 "http://app.example",
		"ws://app.example:80":                   "ws://app.example",
		"https://app.example:80":                "https://app.example:80",
		"https://app.example:0443":              "https://app.example",
		"https://app.example.":                  "https://app.example.",
		"https://a_b.example":                   "https://a_b.example",
		"https://bücher.example":                "https://xn--bcher-kva.example",
		"https://BÜCHER.example:8443":           "https://xn--bcher-kva.example:8443",
		"https://xn--bcher-kva.example":         "https://xn--bcher-kva.example",
		"https://bu\u0308cher.example":          "punycode",
		"https://日本語.example":                   "https://xn--wgv71a119e.example",
		"http://127.0.0.1:8080":                 "http://127.0.0.1:8080",
		"http://[2001:DB8:0:0::1]":              "http://[2001:db8::1]",
		"http://[::1]:80":                       "http://[::1]",
		"http://[::ffff:1.2.3.4]":               "http://[::ffff:102:304]",
		"null":                                  "null",
		"file://":                               "file://",
		"FILE://":                               "file://",
		"app://localhost":                       "app://localhost",
		"capacitor://localhost":                 "capacitor://localhost",
		"chrome-extension://abcdef":             "chrome-extension://abcdef",
		"vscode-webview://0a1b:99":              "vscode-webview://0a1b:99",
		"":                                      "not of the form",
		"*":                                     "not of the form",
		"app.example":                           "not of the form",
		"https:app.example":                     "not of the form",
		"://app.example":                        "not of the form",
		"1http://app.example":                   "not of the form",
		"https://":                              "not of the form",
		"https://:443":                          "not of the form",
		" https://b.example":                    "split",
		"https://b.example ":                    "split",
		"https://b\t.example":                   "split",
		"https://b.example\n":                   "split",
		"https://a.example,https://b.example:1": "more than",
		"https://app.example/":                  "more than",
		"https://app.example/path":              "more than",
		"https://bücher.example/":               "form",
		"https://app.example?x":                 "more than",
		"https://app.example#x":                 "more than",
		"https://user@app.example":              "more than",
		"https://*.app.example":                 "wildcard",
		"file:///":                              "more than",
		"https://app.example:":                  "not a port",
		"https://app.example:http":              "not a port",
		"https://app.example:65536":             "not a port",
		"https://app.example:-1":                "not a port",
		"https://app..example":                  "label that is empty",
		"https://.example":                      "label that is empty",
		"https://1.2.3":                         "not an IPv4",
		"https://1.2.3.4.5":                     "not an IPv4",
		"https://0x7f.1":                        "not an IPv4",
		"https://2130706433":                    "not an IPv4",
		"https://[::1":                          "form",
		"https://[1.2.3.4]":                     "not an IPv6",
		"https://[fe80::1]:x":                   "not a port",
		"https://::1":                           "form",
		"app://bücher":                          "not a domain name",
		"https://\xff.example":                  "punycode",
	} {
		got, err := forwarded.ListedOrigin(s)
		if err != nil {
			got = err.Error()
		}
		if err == nil && got != want || err != nil && !strings.Contains(got, want) {
			t.Errorf("ListedOrigin(%q) = %q, %v, want %q", s, got, err, want)
		}
		if err == nil {
			if again, err := forwarded.Origin(got); again != got || err != nil {
				t.Errorf("Origin(%q) = %q, %v, want it as it is", got, again, err)
			}
		}
	}
}

func TestOriginOfARequest(t *testing.T) {
	for s, want := range map[string]string{
		"https://app.example:443": "https://app.example",
		"HTTPS://APP.example":     "https://app.example",
		"null":                    "null",
		"file://":                 "file://",
	} {
		if got, err := forwarded.Origin(s); got != want || err != nil {
			t.Errorf("Origin(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"", "https://bücher.example", "https://a.example, https://b.example",
		"https://a.example/"} {
		if got, err := forwarded.Origin(s); err == nil {
			t.Errorf("Origin(%q) = %q, want an error", s, got)
		}
	}
}

func TestSameHost(t *testing.T) {
	for pair, want := range map[string]bool{
		"http://app.example app.example":              true,
		"https://app.example:443 app.example":         true,
		"https://App.example app.Example:443":         true,
		"https://app.example app.example:80":          false,
		"http://app.example:8080 app.example":         false,
		"http://app.example.evil.example app.example": false,
		"http://app.example@evil.example app.example": false,
		"ftp://app.example app.example":               false,
		"null null":                                   false,
		"http:// ":                                    false,
		"file:// ":                                    false,
	} {
		origin, host, _ := strings.Cut(pair, " ")
		if got := forwarded.SameHost(origin, host); got != want {
			t.Errorf("SameHost(%q, %q) = %v, want %v", origin, host, got, want)
		}
	}
}
