package conformance_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/wsgateway/gateway/conformance/internal/labproc"
	"github.com/wsgateway/gateway/conformance/internal/raw"
)

// The largest message of /echo, 16 MiB, in fragments and segments of many sizes,
// with control frames between: group 9 goes to 4 MiB only.
func TestLargeFragmented(t *testing.T) {
	size := 16 << 20
	if labproc.Race {
		size = 4 << 20 // the rest would tell nothing new about races
	}
	// cut anywhere below: inside characters, too
	letters := strings.Repeat("aé€𐍈", size/10+1)[:size/10*10]
	var cases []protoCase
	for _, part := range []int{997, 65536, 3<<20 + 1} {
		frames := raw.Fragments(raw.Text, raw.Cut([]byte(letters), part)...)
		cases = append(cases,
			protoCase{fmt.Sprint("text in fragments of ", part), "",
				[]step{send(frames...), want(text(letters)), done}})
	}
	content := pattern(size)
	frames := raw.Fragments(raw.Binary, raw.Cut(content, 1<<20)...)
	var among []raw.Frame
	var replies []raw.Event
	for i, f := range frames {
		p := fmt.Sprint("ping ", i)
		among = append(among, f, raw.Whole(raw.Ping, []byte(p)), raw.Whole(raw.Pong, []byte("unasked")))
		replies = append(replies, pong(p))
	}
	// The last ping comes behind the message.
	replies = slices.Insert(replies, len(replies)-1, bin(content))
	cases = append(cases,
		protoCase{"pings among fragments of 1 MiB", "", []step{send(among...), want(replies...), done}},
		protoCase{"segments of 64 KiB", "",
			[]step{cut(64<<10, raw.Whole(raw.Binary, content)), want(bin(content)), done}},
		protoCase{"empty fragments among those of 1 MiB", "",
			[]step{send(withEmpty(frames)...), want(bin(content)), done}},
	)
	runCases(t, cases)
}

// pattern is content in which every piece is at its own place.
func pattern(n int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.Bytes()[:n]
}

// withEmpty puts an empty fragment before each but the first, and one at the end.
func withEmpty(frames []raw.Frame) []raw.Frame {
	var all []raw.Frame
	for i, f := range frames {
		f.Fin = false
		all = append(all, f, raw.Frame{Opcode: raw.Continuation, Fin: i == len(frames)-1})
	}
	return all
}

// Compressed messages whose compressed size is near the limit, and beyond what the
// limit leaves.
func TestLargeDeflated(t *testing.T) {
	noise, _ := noise(16 << 20)
	compressed := func(p []byte, size int) []raw.Frame {
		frames := raw.Fragments(raw.Binary, raw.Cut(p, size)...)
		frames[0].RSV = raw.RSV1
		return frames
	}
	stored := raw.Deflated(noise, 0) // larger than what it becomes
	above := raw.Deflated(append(slices.Clone(noise), 'x'), 0)
	for _, pc := range []protoCase{
		{"incompressible, at the limit", "",
			[]step{send(compressed(stored, 1<<20)...), want(bin(noise)), done}},
		{"incompressible, one byte above", "",
			[]step{send(compressed(above, 1<<20)...), closedWith(1009)}},
	} {
		t.Run(pc.id, func(t *testing.T) {
			t.Parallel()
			labproc.Get(t, "-deflate")
			c := openDeflate(t, "permessage-deflate; client_no_context_takeover")
			for i, s := range pc.steps {
				if err := s(c); err != nil {
					t.Fatalf("step %d: %v", i+1, err)
				}
			}
		})
	}
}
