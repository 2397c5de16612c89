package load

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
)

// The end of a flushed block that RFC 7692, section 7.2.1, leaves out, and an
// empty last block, which ends the stream for our reader.
const deflateTail = "\x00\x00\xff\xff\x01\x00\x00\xff\xff"

// deflate compresses one message without context takeover.
func deflate(payload []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(payload); err != nil {
		return nil, err
	}
	if err := w.Flush(); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte(deflateTail[:4])), nil
}

func inflate(payload []byte) ([]byte, error) {
	r := flate.NewReader(io.MultiReader(bytes.NewReader(payload),
		bytes.NewReader([]byte(deflateTail))))
	out, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	return out, nil
}
