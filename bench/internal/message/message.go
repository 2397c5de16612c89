// Package message is the content of the messages that servers send on their
// own: numbered and stamped, so that the load generator can tell that each
// came once, in order, complete, and how long it took.
package message

import (
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// Header is the length in bytes of what precedes the filler: 8 hexadecimal
// digits of the sequence number and 16 of the time.
const Header = 24

const filler = "abcdefghijklmnopqrstuvwxyz012345"

// New is a message of size bytes, at least [Header], with filler in place and
// number and time to be [Stamp]ed.
func New(size int) []byte {
	m := make([]byte, max(size, Header))
	for i := Header; i < len(m); i++ {
		m[i] = filler[i%len(filler)]
	}
	Stamp(m, 0, time.Time{})
	return m
}

// Stamp writes the number and the time over those that m carries.
func Stamp(m []byte, seq uint32, at time.Time) {
	var raw [12]byte
	put(raw[:4], uint64(seq))
	put(raw[4:], uint64(at.UnixNano()))
	hex.Encode(m[:Header], raw[:])
}

// Parse returns number and time of a message and checks its filler. The error
// names the first byte that is not as [New] wrote it.
func Parse(m []byte, size int) (seq uint32, at time.Time, err error) {
	if len(m) != max(size, Header) {
		return 0, at, fmt.Errorf("message of %d bytes, want %d", len(m), max(size, Header))
	}
	var raw [12]byte
	if _, err := hex.Decode(raw[:], m[:Header]); err != nil {
		return 0, at, errors.New("message does not begin with number and time")
	}
	for i := Header; i < len(m); i++ {
		if m[i] != filler[i%len(filler)] {
			return 0, at, fmt.Errorf("message differs at byte %d", i)
		}
	}
	return uint32(get(raw[:4])), time.Unix(0, int64(get(raw[4:]))), nil
}

func put(b []byte, v uint64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte(v)
		v >>= 8
	}
}

func get(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}
