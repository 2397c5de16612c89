package gateway

import (
	"bytes"
	"compress/flate"
	"sync"
)

// deflateThreshold is the size in bytes from which a message is compressed;
// below, it would hardly become smaller.
const deflateThreshold = 512

// A deflater is a compressor with its output. One takes over a megabyte, so they
// are shared: no context is taken over from message to message.
type deflater struct {
	w   *flate.Writer
	out bytes.Buffer
}

var deflaters = sync.Pool{New: func() any {
	d := new(deflater)
	w, err := flate.NewWriter(&d.out, flate.BestSpeed)
	if err != nil { // the level is valid
		panic(err)
	}
	d.w = w
	return d
}}

// deflate compresses a message's payload as RFC 7692, section 7.2.1 wants it:
// flushed, and without the four bytes that every flush ends with.
func deflate(p []byte) []byte {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	d.w.Write(p) // to memory: cannot fail
	d.w.Flush()
	return bytes.Clone(bytes.TrimSuffix(d.out.Bytes(), []byte{0, 0, 0xff, 0xff}))
}
