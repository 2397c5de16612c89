package torture

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// What must never be in a log.
const (
	secretCookie = "cookie-secret-31415"
	secretToken  = "token-secret-27182"
	secretBody   = "body-secret-16180"
)

// Clients put line breaks, escape sequences and forged log lines wherever bytes
// can stand. The logs stay one record a line, readable and without secrets.
func TestLogInjection(t *testing.T) {
	for _, toFile := range []bool{true, false} {
		t.Run(fmt.Sprint("file ", toFile), func(t *testing.T) {
			file := t.TempDir() + "/log"
			flags := []string{"-limit", "1048576"}
			if toFile {
				flags = append(flags, "-log", file)
			}
			lab := start(t, flags...)
			fault(t, lab, func(t *testing.T) { inject(t, lab) })
			if err := lab.Stop(); err != nil {
				t.Fatal(err)
			}
			if !toFile {
				checkLog(t, lab.Output(), false)
				return
			}
			b, err := os.ReadFile(file)
			if err != nil || len(b) == 0 {
				t.Fatalf("log of %d bytes, %v", len(b), err)
			}
			checkLog(t, string(b), true)
		})
	}
}

func inject(t *testing.T, lab *labproc.Lab) {
	const forged = "level=ERROR msg=forged"
	for _, bad := range []string{"%0a" + forged, "%0d%0a" + forged, "%1b%5b2J" + forged,
		"%00" + forged, "%e2%80%ae" + forged, "%c2%85" + forged, "%ff" + forged,
		strings.Repeat("A", 8000)} {
		r := raw.NewRequest(lab.Addr, "/info/"+strings.ReplaceAll(bad, " ", "%20")+"?token="+secretToken)
		r.Add("Cookie", "session="+secretCookie).Add("Authorization", "Bearer "+secretToken)
		r.Add("User-Agent", "\u202e"+forged).Add("X-Forwarded-For", "1.2.3.4\t"+forged)
		c, _, err := raw.Do(lab.Addr, r)
		if err != nil {
			t.Errorf("%q: %v", bad, err)
		}
		if c == nil {
			continue
		}
		_ = c.SendMessage(raw.Text, []byte(secretBody+"\n"+forged))
		if _, err := c.Next(); err != nil {
			t.Error(err)
		}
		_ = c.Send(raw.Close(4000, "\n\x1b[31m"+forged))
		untilClosed(c)
		c.Cut()
	}
	// Events that are logged as warnings and errors: a panic, a verdict that
	// quotes the client, a protocol error, a rate exceeded.
	for path, message := range map[string]string{"/panic": secretBody,
		"/verdict": secretBody + "\n" + forged, "/rate/close": secretBody} {
		c := dial(t, lab, path)
		for range 10 {
			_ = c.SendMessage(raw.Text, []byte(message))
		}
		untilClosed(c)
	}
	c := dial(t, lab, "/echo")
	_ = c.Write([]byte("\xff\n\x1b" + forged))
	untilClosed(c)
	// Header lines that only a server without a check would take.
	for _, line := range []string{"X-A: b\rSet-Cookie: x", "X-A: \x1b[2J", "X-A: a\x00b",
		"Bad Name: x", "X-A"} {
		nc, err := net.DialTimeout("tcp", lab.Addr, raw.Timeout)
		if err != nil {
			t.Fatal(err)
		}
		request := strings.Replace(string(raw.NewRequest(lab.Addr, "/echo").Bytes()), "\r\n\r\n",
			"\r\n"+line+"\r\n\r\n", 1)
		if _, err := nc.Write([]byte(request)); err != nil {
			t.Error(err)
		}
		_ = nc.SetReadDeadline(time.Now().Add(5 * time.Second))
		if status, err := bufio.NewReader(nc).ReadString('\n'); err != nil ||
			!strings.Contains(status, " 400 ") {
			t.Errorf("%q: answered with %q, %v", line, status, err)
		}
		_ = nc.Close()
	}
}

// untilClosed reads until the close frame or the end.
func untilClosed(c *raw.Conn) {
	for {
		if ev, err := c.NextWithin(5 * time.Second); err != nil || ev.Kind >= raw.Closed {
			return
		}
	}
}

// checkLog wants every line to be one record of the logger, and nothing secret
// in any.
func checkLog(t *testing.T, log string, asJSON bool) {
	t.Helper()
	for _, secret := range []string{secretCookie, secretToken, secretBody} {
		if i := strings.Index(log, secret); i >= 0 {
			t.Errorf("the log contains %s: %q", secret, log[max(0, i-200):i+len(secret)])
		}
	}
	for line := range strings.Lines(log) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "lab: ") {
			continue // the program's own words
		}
		if asJSON && !json.Valid([]byte(line)) {
			t.Errorf("not a record: %q", line)
		}
		if !asJSON && !strings.HasPrefix(line, "time=") {
			t.Errorf("not a record: %q", line)
		}
		if !utf8.ValidString(line) ||
			strings.ContainsFunc(line,
				func(r rune) bool { return r < ' ' || r == 0x7f || r == 0x85 || r == 0x202e }) {
			t.Errorf("control bytes in a record: %q", line)
		}
	}
}

// What a client sends in the handshake comes back in no header, and an error
// object quotes it as JSON.
func TestResponseInjection(t *testing.T) {
	lab := start(t)
	for _, tc := range []struct{ name, value string }{
		{"Sec-WebSocket-Protocol", "lab.v1, x-injected"},
		{"Sec-WebSocket-Extensions", `x-injected; a="b"`},
		{"Origin", "http://x-injected.example/\"><script>"},
		{"Sec-WebSocket-Version", "x-injected"},
	} {
		c, resp, err := raw.Do(lab.Addr, raw.NewRequest(lab.Addr, "/echo").Set(tc.name, tc.value))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if c != nil {
			c.Cut()
		}
		for name, values := range resp.Header {
			if strings.Contains(strings.Join(values, " "), "x-injected") {
				t.Errorf("%s comes back in %s: %q", tc.name, name, values)
			}
		}
		if c == nil && !json.Valid(resp.Body) {
			t.Errorf("%s: the error object is %q", tc.name, resp.Body)
		}
	}
}

// Pages of other sites cannot open sockets, however many try.
func TestCrossOrigin(t *testing.T) {
	lab := start(t)
	fault(t, lab, func(t *testing.T) {
		err := inParallel(300, 20, func(i int) error {
			r := raw.NewRequest(lab.Addr, "/echo").Add("Origin", fmt.Sprintf("https://evil%d.example", i))
			c, resp, err := raw.Do(lab.Addr, r)
			if c != nil {
				c.Cut()
			}
			if err != nil || resp.Status != 403 {
				return fmt.Errorf("%v, %+v; want 403", err, resp)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}
