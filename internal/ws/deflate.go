package ws

import (
	"bytes"
	"compress/flate"
	"errors"
	"io"
	"sync"
)

// DeflateThreshold is the size in bytes from which a message is worth compressing;
// below, it would hardly become smaller.
const DeflateThreshold = 512

// A deflater is a compressor with its output. One takes over a megabyte, so they are
// shared: no context is taken over from message to message.
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

// Deflate compresses a message's payload as RFC 7692, section 7.2.1 wants it: flushed,
// and without the four bytes that every flush ends with. The result is good until use
// returns.
func Deflate(p []byte, use func(deflated []byte)) {
	d := deflaters.Get().(*deflater)
	defer deflaters.Put(d)
	d.out.Reset()
	d.w.Reset(&d.out)
	d.w.Write(p) // to memory: cannot fail
	d.w.Flush()
	use(bytes.TrimSuffix(d.out.Bytes(), []byte{0, 0, 0xff, 0xff}))
}

// inflateTail is what the sender of a payload left out (RFC 7692, section 7.2.2), and
// an empty last block, so that the inflater ends there.
const inflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// How many blocks of a payload may say that they are the last one. Each costs about a
// microsecond to begin again after; senders that mean well have one or two.
const (
	lastBlocks        = 64
	bytesPerLastBlock = 1 << 10
)

var errLastBlocks = errors.New("too many of its blocks say that they are the last one")

// A source is what an inflater reads: a payload, and what its sender left out.
type source struct {
	payload []byte
	tail    string
}

func (s *source) Read(p []byte) (n int, err error) {
	if len(s.payload) == 0 && s.tail == "" {
		return 0, io.EOF
	}
	n = copy(p, s.payload)
	s.payload = s.payload[n:]
	m := copy(p[n:], s.tail)
	s.tail = s.tail[m:]
	return n + m, nil
}

// ReadByte makes it what package flate reads without a buffer between.
func (s *source) ReadByte() (b byte, err error) {
	switch {
	case len(s.payload) > 0:
		b, s.payload = s.payload[0], s.payload[1:]
	case s.tail != "":
		b, s.tail = s.tail[0], s.tail[1:]
	default:
		err = io.EOF
	}
	return b, err
}

// An inflater is a decompressor with its input and output.
type inflater struct {
	r      io.ReadCloser // a flate.Resetter too
	in     source
	left   int64 // bytes that may come out, negative for any number
	last   int   // blocks that may still say they are the last one
	behind bool  // a block was the last, and nothing has come out of what follows
}

var inflaters = sync.Pool{New: func() any {
	i := new(inflater)
	i.r = flate.NewReader(&i.in)
	return i
}}

// Inflate returns what a deflated payload becomes, or a *Violation: ErrTooLarge if that
// has more than limit bytes, and then no more than that was inflated; a negative limit is
// none. Bytes behind the last block that are not a block are ignored. held and memory
// are those of [Gather].
func Inflate(payload []byte, limit int64, text bool, held func(size int) error,
	memory func(size int) []byte) ([]byte, error) {
	i := inflaters.Get().(*inflater)
	defer inflaters.Put(i)
	i.last = lastBlocks + len(payload)/bytesPerLastBlock
	i.in = source{payload, inflateTail}
	defer func() { i.in = source{} }()
	i.r.(flate.Resetter).Reset(&i.in, nil) // cannot fail
	i.left, i.behind = limit, false
	out, err := Gather(i, text, held, memory)
	var corrupt flate.CorruptInputError
	switch {
	case errors.As(err, &corrupt), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, errLastBlocks):
		err = breach("the message cannot be inflated: " + err.Error())
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
		return n, ErrTooLarge
	}
	i.left -= int64(n)
	return n, err
}

// emptyLast are the two forms of a last block with nothing in it.
var emptyLast = [...][]byte{{0x03, 0x00}, {0x01, 0x00, 0x00, 0xff, 0xff}}

// more reports whether something follows a last block. It skips what is empty itself,
// which would cost as much as one with content.
func (i *inflater) more() bool {
	for before := -1; before != len(i.in.payload); {
		before = len(i.in.payload)
		for _, block := range emptyLast {
			i.in.payload = bytes.TrimPrefix(i.in.payload, block)
		}
	}
	return len(i.in.payload) > 0
}

// readBlocks reads on where a block that says it is the last one is followed by
// others, as RFC 7692, section 7.2.1 allows.
func (i *inflater) readBlocks(p []byte) (int, error) {
	for {
		n, err := i.r.Read(p)
		switch {
		case err == io.EOF && i.more():
			if i.last--; i.last < 0 {
				return n, errLastBlocks
			}
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
