package cluster

import (
	"encoding/binary"

	"github.com/wsgateway/gateway"
)

// Versions of the codec. A node reads its own and the one before, and writes the newest
// that the receiver reads, so nodes can be exchanged one by one. Within a version, fields
// may be added at the end of a record, and kinds of records: who does not know them
// passes over them.
const (
	codecVersion  = 1
	oldestVersion = 1
)

// A frame, one message from one node to another, is a header and records:
//
//	 0  version
//	 1  10 bytes: the sender
//	11  10 bytes: the receiver
//	21  8 bytes: the sender's incarnation
//	29  8 bytes: the frame's number, which grows
//	37  4 bytes: the number of records
//	41  4 bytes: the length of all that follows
//	45  records, each 4 bytes of length, a kind, and what belongs to it
const (
	headerLen = 45
	recordLen = 5 // of a record's own header

	offFrom, offTo, offIncarnation, offNumber, offCount, offLength = 1, 11, 21, 29, 37, 41
)

// Kinds of records.
const (
	recRequest  = 1
	recReply    = 2
	recInterest = 3 // one group has, or has no longer, members at the sender
	recWant     = 4 // asks for all such groups
	recSnapshot = 5 // answers that
	recBye      = 6 // the sender leaves; nothing follows
)

type header struct {
	version     byte
	from, to    string
	incarnation uint64
	number      uint64
	count       int
}

// parseHeader reads the header of a whole frame and returns the records.
func parseHeader(b []byte) (h header, records []byte, ok bool) {
	if len(b) < headerLen {
		return h, nil, false
	}
	h.version = b[0]
	h.from, h.to = string(b[offFrom:offTo]), string(b[offTo:offIncarnation])
	h.incarnation = binary.BigEndian.Uint64(b[offIncarnation:])
	h.number = binary.BigEndian.Uint64(b[offNumber:])
	h.count = int(binary.BigEndian.Uint32(b[offCount:]))
	records = b[headerLen:]
	ok = gateway.ValidNode(h.from) && gateway.ValidNode(h.to) &&
		uint32(len(records)) == binary.BigEndian.Uint32(b[offLength:]) &&
		h.count <= len(records)/recordLen
	return h, records, ok
}

// An outFrame is a frame that is being filled.
type outFrame struct {
	b      []byte
	count  int
	number uint64
}

func (f *outFrame) begin() {
	f.b = append(f.b[:0], make([]byte, headerLen)...)
	f.count = 0
}

// seal writes the header.
func (f *outFrame) seal(version byte, from, to string, incarnation uint64) {
	f.b[0] = version
	copy(f.b[offFrom:], from)
	copy(f.b[offTo:], to)
	binary.BigEndian.PutUint64(f.b[offIncarnation:], incarnation)
	binary.BigEndian.PutUint64(f.b[offNumber:], f.number)
	binary.BigEndian.PutUint32(f.b[offCount:], uint32(f.count))
	binary.BigEndian.PutUint32(f.b[offLength:], uint32(len(f.b)-headerLen))
}

// beginRecord appends the header of a record, endRecord completes the one at the offset.
func beginRecord(b []byte, kind byte) []byte { return append(b, 0, 0, 0, 0, kind) }

func endRecord(b []byte, at int) {
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-recordLen))
}

// nextRecord cuts the first record off.
func nextRecord(b []byte) (kind byte, body, rest []byte, ok bool) {
	if len(b) < recordLen {
		return 0, nil, nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if uint64(n) > uint64(len(b)-recordLen) {
		return 0, nil, nil, false
	}
	return b[4], b[recordLen : recordLen+n], b[recordLen+n:], true
}

// A reader takes a record apart. Once something was missing, it returns zero values.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) fail() { r.b, r.bad = nil, true }

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// int reads a number that fits 31 bits.
func (r *reader) int() int {
	v := r.uvarint()
	if v > 1<<31-1 {
		r.fail()
		return 0
	}
	return int(v)
}

// take cuts n bytes off; they are not copied.
func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) bytes() []byte { return r.take(r.int()) }

func (r *reader) string() string { return string(r.bytes()) }

// count reads how many entries follow, of at least size bytes each.
func (r *reader) count(size int) int {
	n := r.int()
	if n > len(r.b)/size {
		r.fail()
		return 0
	}
	return n
}

func appendString[T ~string | ~[]byte](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
