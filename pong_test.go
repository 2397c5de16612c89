package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/wsgateway/gateway"
)

// Clients may take a pong for the sign that what they sent before the ping has
// been answered. Replies and pongs leave in the order of what they answer.
func TestPongsKeepTheirPlaceAmongReplies(t *testing.T) {
	for name, size := range map[string]int{"short": 10, "long": 3000,
		"longer than a batch takes with others": 20_000} {
		t.Run(name, func(t *testing.T) {
			gw := quiet()
			gw.Handle("/", echo())
			p := dialTCP(t, serveTCP(t, gw, false))
			p.upgrade("/")
			var sent []byte
			var replies []string
			for i := range 60 {
				text := fmt.Sprint(i, strings.Repeat("x", size))
				if i%3 == 2 {
					text = fmt.Sprint(i)
					sent = append(sent, masked(0x89, text)...)
				} else {
					sent = append(sent, masked(0x81, text)...)
				}
				replies = append(replies, text)
			}
			go p.conn.Write(sent) // the replies fill the buffers if nobody reads
			for i, want := range replies {
				first := byte(0x81)
				if i%3 == 2 {
					first = 0x8a
				}
				p.want(first, want)
			}
		})
	}
}

// The same for an endpoint that answers with several messages, and for a ping
// between the fragments of a message.
func TestPongBetweenRepliesAndFragments(t *testing.T) {
	gw := quiet()
	gw.Handle("/",
		gateway.Callbacks{OnData: func(ctx context.Context, s *gateway.Socket, m gateway.Message) error {
			for _, part := range []string{"1", "2", "3"} {
				if err := s.Send(ctx, gateway.Text(string(m.Data)+part)); err != nil {
					return err
				}
			}
			return nil
		}})
	p := dialTCP(t, serveTCP(t, gw, false))
	p.upgrade("/")
	var sent []byte
	for _, f := range [][]byte{masked(0x81, "a"), masked(0x89, "p"), masked(0x01, "b"),
		masked(0x89, "q"), masked(0x80, "c"), masked(0x89, "r")} {
		sent = append(sent, f...)
	}
	p.write(sent)
	for _, text := range []string{"a1", "a2", "a3"} {
		p.want(0x81, text)
	}
	p.want(0x8a, "p")
	p.want(0x8a, "q")
	for _, text := range []string{"bc1", "bc2", "bc3"} {
		p.want(0x81, text)
	}
	p.want(0x8a, "r")
}
