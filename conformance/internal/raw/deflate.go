package raw

import (
	"bytes"
	"compress/flate"
	"io"
	"strconv"
	"strings"
)

// A Deflate is permessage-deflate (RFC 7692) as agreed for one connection, and
// the state of both directions.
type Deflate struct {
	ServerNoContext, ClientNoContext bool
	ServerBits, ClientBits           int // 0: not in the answer, which means 15

	w      *flate.Writer
	r      io.ReadCloser // a flate.Resetter
	out    bytes.Buffer
	window []byte // what the server's later messages may refer to
}

// acceptDeflate reads the extensions of a 101 and checks that they answer one
// of the request's offers (RFC 7692, sections 5 and 7.1).
func acceptDeflate(answer string, r *Request) (*Deflate, error) {
	if strings.Contains(answer, ",") {
		return nil, broken("more than one extension: %q", answer)
	}
	name, params := parseExtension(answer)
	if name != "permessage-deflate" {
		return nil, broken("extension %q was not offered", name)
	}
	var offer string
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, "Sec-WebSocket-Extensions") {
			offer += f.Value + ","
		}
	}
	if !strings.Contains(offer, "permessage-deflate") {
		return nil, broken("permessage-deflate was not offered")
	}
	d := &Deflate{}
	seen := map[string]bool{}
	for _, p := range params {
		if seen[p.Name] {
			return nil, broken("parameter %s twice in %q", p.Name, answer)
		}
		seen[p.Name] = true
		if err := d.set(p, offer); err != nil {
			return nil, err
		}
	}
	return d, nil
}

func (d *Deflate) set(p Field, offer string) error {
	switch p.Name {
	case "server_no_context_takeover":
		d.ServerNoContext = true
		return noValue(p)
	case "client_no_context_takeover":
		d.ClientNoContext = true
		return noValue(p)
	case "server_max_window_bits", "client_max_window_bits":
		bits, err := strconv.Atoi(p.Value)
		if err != nil || bits < 8 || bits > 15 || strconv.Itoa(bits) != p.Value {
			return broken("%s=%s", p.Name, p.Value)
		}
		if p.Name == "server_max_window_bits" {
			d.ServerBits = bits
			return nil
		}
		if !strings.Contains(offer, p.Name) {
			return broken("%s was not offered", p.Name)
		}
		d.ClientBits = bits
		return nil
	}
	return broken("unknown extension parameter %q", p.Name)
}

func noValue(p Field) error {
	if p.Value != "" {
		return broken("%s has the value %q", p.Name, p.Value)
	}
	return nil
}

func parseExtension(s string) (name string, params []Field) {
	parts := strings.Split(s, ";")
	for _, p := range parts[1:] {
		k, v, _ := strings.Cut(strings.TrimSpace(p), "=")
		params = append(params, Field{k, strings.Trim(v, `"`)})
	}
	return strings.TrimSpace(parts[0]), params
}

// tail is what a sender leaves out at the end of every message (RFC 7692,
// section 7.2.1), tailAndFinal lets a reader see the end.
const (
	tail         = "\x00\x00\xff\xff"
	tailAndFinal = tail + "\x01\x00\x00\xff\xff"
)

// Compress returns the payload of a compressed message.
func (d *Deflate) Compress(p []byte) []byte {
	d.out.Reset()
	if d.w == nil {
		level := flate.BestSpeed
		if d.ClientBits != 0 && d.ClientBits < 15 {
			// compress/flate has one window size. Stored blocks refer to nothing.
			level = flate.NoCompression
		}
		d.w, _ = flate.NewWriter(&d.out, level) // the level is valid
	} else if d.ClientNoContext {
		d.w.Reset(&d.out)
	}
	_, _ = d.w.Write(p) // a bytes.Buffer takes everything
	_ = d.w.Flush()
	return bytes.Clone(bytes.TrimSuffix(d.out.Bytes(), []byte(tail)))
}

// Decompress returns the content of a compressed message of the server.
func (d *Deflate) Decompress(p []byte) ([]byte, error) {
	in := io.MultiReader(bytes.NewReader(p), strings.NewReader(tailAndFinal))
	if d.r == nil {
		d.r = flate.NewReader(in)
	}
	_ = d.r.(flate.Resetter).Reset(in, d.window) // never fails
	out, err := io.ReadAll(io.LimitReader(d.r, maxFrame))
	if err != nil {
		return nil, broken("compressed message: %v", err)
	}
	if !d.ServerNoContext {
		d.window = append(d.window, out...)
		if extra := len(d.window) - 1<<15; extra > 0 {
			d.window = append(d.window[:0], d.window[extra:]...)
		}
	}
	return out, nil
}

// Deflated returns p compressed on its own at the level of compress/flate,
// without the end that RFC 7692 has the sender leave out.
func Deflated(p []byte, level int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err) // a wrong level: fix the test
	}
	_, _ = w.Write(p)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte(tail))
}
