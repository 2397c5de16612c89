package ws

import (
	"encoding/binary"
	"math/bits"
)

// Unmask takes the mask off the part of a payload that begins at the offset (RFC 6455,
// section 5.3).
func Unmask(b []byte, key uint32, offset int) {
	key = bits.RotateLeft32(key, -8*(offset&3))
	key64 := uint64(key)<<32 | uint64(key)
	for len(b) >= 64 { // the loop takes as long as what it does to 8 bytes
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key64)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^key64)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^key64)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^key64)
		binary.LittleEndian.PutUint64(b[32:], binary.LittleEndian.Uint64(b[32:])^key64)
		binary.LittleEndian.PutUint64(b[40:], binary.LittleEndian.Uint64(b[40:])^key64)
		binary.LittleEndian.PutUint64(b[48:], binary.LittleEndian.Uint64(b[48:])^key64)
		binary.LittleEndian.PutUint64(b[56:], binary.LittleEndian.Uint64(b[56:])^key64)
		b = b[64:]
	}
	for len(b) >= 8 {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^key64)
		b = b[8:]
	}
	for i := range b {
		b[i] ^= byte(key >> (8 * (i & 3)))
	}
}
