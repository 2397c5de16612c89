package load

import (
	"bytes"
	"cmp"
	"fmt"
	"strings"
	"sync/atomic"
)

// The key and the answer to it are the example of RFC 6455, section 1.3.
const (
	upgradeKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	upgradeAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

const deflateOffer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// visitors numbers the requests: no two have the same cookies.
var visitors atomic.Uint64

// Request is an upgrade request with the headers that a browser sends.
func Request(t Target) []byte {
	n := visitors.Add(1)
	scheme := "http"
	if t.TLS {
		scheme = "https"
	}
	lines := []string{
		"GET " + cmp.Or(t.Path, "/ws") + " HTTP/1.1",
		"Host: " + t.Addr,
		"Connection: Upgrade",
		"Pragma: no-cache",
		"Cache-Control: no-cache",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) " +
			"Chrome/140.0.0.0 Safari/537.36",
		"Upgrade: websocket",
		"Origin: " + scheme + "://" + t.Addr,
		"Sec-WebSocket-Version: 13",
		"Accept-Encoding: gzip, deflate, br, zstd",
		"Accept-Language: en-US,en;q=0.9,de;q=0.8",
		fmt.Sprintf("Cookie: session=%032x; theme=dark; consent=necessary.analytics; "+
			"visitor=GA1.1.%010d.1700000000", n*0x9e3779b97f4a7c15, n),
		"Sec-WebSocket-Key: " + upgradeKey,
	}
	if t.Deflate {
		lines = append(lines, "Sec-WebSocket-Extensions: "+deflateOffer)
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n\r\n")
}

// upgrade sends the request and checks the answer. What follows the answer
// stays in the buffer.
func (c *Conn) upgrade() error {
	if _, err := c.nc.Write(Request(c.target)); err != nil {
		return err
	}
	for {
		if end := bytes.Index(c.buf[c.r:c.w], []byte("\r\n\r\n")); end >= 0 {
			head := string(c.buf[c.r : c.r+end])
			c.r += end + 4
			return checkAnswer(head, c.target.Deflate)
		}
		if err := c.fill(); err != nil {
			return fmt.Errorf("wait for the answer to the upgrade: %w", err)
		}
	}
}

func checkAnswer(head string, deflate bool) error {
	lower := strings.ToLower(head)
	switch {
	case !strings.HasPrefix(head, "HTTP/1.1 101 "):
		return fmt.Errorf("upgrade refused: %.300s", head)
	case !strings.Contains(head, upgradeAccept):
		return fmt.Errorf("wrong Sec-WebSocket-Accept: %.300s", head)
	case strings.Contains(lower, "permessage-deflate") != deflate:
		return fmt.Errorf("compression offered: %v, answer: %.300s", deflate, head)
	}
	return nil
}
