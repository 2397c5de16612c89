package gateway

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
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

// inflateTail is what the sender of a payload left out (RFC 7692, section 7.2.2),
// and an empty last block, so that the inflater ends there.
const inflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// An inflater is a decompressor with its input and output.
type inflater struct {
	r      io.ReadCloser // a flate.Resetter too
	in     bytes.Reader
	left   int64 // bytes that may come out, negative for any number
	behind bool  // a block was the last, and nothing has come out of what follows
}

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.r = flate.NewReader(&i.in)
	return i
}}

// inflate returns what a deflated payload becomes, or a violation: errTooLarge if that
// has more than limit bytes, and then no more than that was inflated. What follows the
// last block and is no block is ignored. It may append to the payload.
func inflate(payload []byte, limit int64, text bool) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.in.Reset(append(payload, inflateTail...))
	defer i.in.Reset(nil)
	i.r.(flate.Resetter).Reset(&i.in, nil) // cannot fail
	i.left, i.behind = limit, false
	out, err := gather(i, text)
	var v *violation
	if err != nil && !errors.As(err, &v) {
		err = &violation{CauseProtocolError, closeProtocol, "the message cannot be inflated: " + err.Error()}
	}
	return out, err
}

// Read reads what comes out.
func (i *inflater) Read(p []byte) (int, error) {
	if i.left < 0 {
		return i.readBlocks(p)
	}
	if int64(len(p)) > i.left+1 {
		p = p[:i.left+1]
	}
	n, err := i.readBlocks(p)
	if int64(n) > i.left {
		return n, errTooLarge
	}
	i.left -= int64(n)
	return n, err
}

// readBlocks reads on where a block that says it is the last one is followed by
// others, as RFC 7692, section 7.2.1 allows.
func (i *inflater) readBlocks(p []byte) (int, error) {
	for {
		n, err := i.r.Read(p)
		switch {
		case err == io.EOF && i.in.Len() > len(inflateTail):
			i.r.(flate.Resetter).Reset(&i.in, nil) // cannot fail
			i.behind, err = true, nil
		case n > 0:
			i.behind = false
		case err != nil && i.behind:
			err = io.EOF
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}
