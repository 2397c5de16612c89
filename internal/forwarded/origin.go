package forwarded

import (
	"bufio"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ListedOrigin returns an origin that a person wrote, in the one form in which
// browsers send it: "null", or scheme://host[:port] in lower case, the host in
// punycode, the address in its shortest form, without the scheme's default port.
// Schemes that are not of the web may have no host, as "file://". The error says why
// no page can have that origin.
func ListedOrigin(s string) (string, error) {
	if strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return "", errors.New("it has a space or a control character; is it from a list that was split?")
	}
	scheme, authority, ok := strings.Cut(s, "://")
	if isASCII(s) || !ok || defaultPort(strings.ToLower(scheme)) == "" {
		return Origin(s)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(authority, isVariant) {
		return "", errors.New("its host has characters that browsers replace; write it in punycode")
	}
	ascii, err := punycode(strings.ToLower(authority))
	if err != nil {
		return "", fmt.Errorf("its host is not a domain name: %w", err)
	}
	return Origin(scheme + "://" + ascii)
}

// Origin returns the origin of a request in the form of ListedOrigin. It takes no
// international domain names: browsers send them in punycode.
func Origin(s string) (string, error) {
	s = strings.ToLower(s)
	if s == "null" {
		return s, nil
	}
	scheme, authority, ok := strings.Cut(s, "://")
	if !ok || !isScheme(scheme) {
		return "", errors.New(`it is not of the form "scheme://host[:port]"`)
	}
	if !isASCII(s) {
		return "", errors.New("its host is not a domain name")
	}
	if strings.ContainsAny(authority, "/?#@\\ \t\"%*<>^`{|}") {
		return "", errors.New(`it has more than "scheme://host[:port]", or a wildcard`)
	}
	host, port, err := splitPort(authority)
	if err != nil {
		return "", err
	}
	if defaultPort(scheme) != "" {
		if host, err = webHost(host); err != nil {
			return "", err
		}
		if port == defaultPort(scheme) {
			port = ""
		}
	}
	return scheme + "://" + host + port, nil
}

// splitPort returns the port with its colon and without leading zeros, or "".
func splitPort(authority string) (host, port string, err error) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.HasSuffix(authority, "]") {
		return authority, "", nil
	}
	n, err := strconv.ParseUint(authority[i+1:], 10, 16)
	if err != nil {
		return "", "", fmt.Errorf("%q is not a port", authority[i+1:])
	}
	return authority[:i], ":" + strconv.FormatUint(n, 10), nil
}

// webHost returns the host of a page of the web as browsers write it.
func webHost(host string) (string, error) {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		a, err := netip.ParseAddr(host[1 : len(host)-1])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return "", fmt.Errorf("%s is not an IPv6 address", host)
		}
		if a.Is4In6() { // browsers write these in hexadecimal, package netip does not
			b := a.As16()
			return fmt.Sprintf("[::ffff:%x:%x]", int(b[12])<<8|int(b[13]), int(b[14])<<8|int(b[15])), nil
		}
		return "[" + a.String() + "]", nil
	}
	if host == "" || strings.ContainsAny(host, ":[]") {
		return "", errors.New(`it is not of the form "scheme://host[:port]"`)
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 {
			return "", errors.New("its host has a label that is empty or too long")
		}
	}
	last := labels[len(labels)-1]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || strings.Trim(last, "0123456789") == "" {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is4() {
			return "", fmt.Errorf("%s is not an IPv4 address as browsers write it", host)
		}
	}
	return host, nil
}

func isScheme(s string) bool {
	for i, c := range s {
		if (c < 'a' || c > 'z') && (i == 0 || (c < '0' || c > '9') && !strings.ContainsRune("+-.", c)) {
			return false
		}
	}
	return s != ""
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= 0x80 })
}

// isVariant reports whether browsers write c, or c and the letter before it, as another
// character: accents that stand alone, letters and dots of full or half width.
func isVariant(c rune) bool {
	return c >= 0x300 && c <= 0x36f || c >= 0xff00 && c <= 0xffef || c == '\u3002'
}

// punycode writes an international domain name as browsers send it. The standard
// library has the tables for it, but shows them only in the Host of a request that it
// writes.
func punycode(authority string) (string, error) {
	var b strings.Builder
	r := http.Request{Method: http.MethodGet, Host: authority, URL: &url.URL{Scheme: "http",
		Host: authority}}
	if err := r.Write(&b); err != nil {
		return "", err
	}
	written, err := http.ReadRequest(bufio.NewReader(strings.NewReader(b.String())))
	if err != nil {
		return "", err
	}
	return written.Host, nil
}

// SameHost reports whether the origin of a page, as it was sent, has the host and port of
// a request. The scheme does not matter, because a proxy in front may speak TLS; a default
// port is that of the origin's scheme.
func SameHost(origin, host string) bool {
	origin, host = strings.ToLower(origin), strings.ToLower(host)
	scheme, authority, ok := strings.Cut(origin, "://")
	port := defaultPort(scheme)
	return ok && authority != "" && port != "" &&
		strings.TrimSuffix(authority, port) == strings.TrimSuffix(host, port)
}

// defaultPort is that of the schemes that a page or a client of the web can have.
func defaultPort(scheme string) string {
	switch scheme {
	case "http", "ws":
		return ":80"
	case "https", "wss":
		return ":443"
	}
	return ""
}
