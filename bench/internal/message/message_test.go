package message_test

import (
	"testing"
	"time"

	"github.com/wsgateway/gateway/bench/internal/message"
)

func TestStampAndParse(t *testing.T) {
	at := time.Unix(1_700_000_000, 123_456_789)
	m := message.New(128)
	message.Stamp(m, 0xdeadbeef, at)
	seq, got, err := message.Parse(m, 128)
	if err != nil || seq != 0xdeadbeef || !got.Equal(at) {
		t.Errorf("Parse = %x, %v, %v; want deadbeef, %v, nil", seq, got, err, at)
	}
}

func TestParseRefusesWhatIsNotWhole(t *testing.T) {
	m := message.New(64)
	message.Stamp(m, 1, time.Now())
	if _, _, err := message.Parse(m[:63], 64); err == nil {
		t.Error("Parse of a message that lost its last byte gave no error")
	}
	for _, i := range []int{0, 23, 24, 63} {
		m := append([]byte(nil), m...)
		m[i] = '#'
		if _, _, err := message.Parse(m, 64); err == nil {
			t.Errorf("Parse of a message changed at byte %d gave no error", i)
		}
	}
}
