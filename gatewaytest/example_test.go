package gatewaytest_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsgateway/gateway"
	"github.com/wsgateway/gateway/gatewaytest"
)

// The endpoint under test closes sockets that are silent for long.
func clock() gateway.Endpoint {
	return gateway.Callbacks{
		OnOpen: func(ctx context.Context, s *gateway.Socket) error {
			s.Go(func(ctx context.Context) error {
				select {
				case <-time.After(time.Hour):
					return &gateway.CloseError{Code: 4000, Reason: "the hour is over"}
				case <-ctx.Done():
					return nil
				}
			})
			return s.Send(ctx, gateway.Text("you have an hour"))
		},
	}
}

// Inside a bubble of testing/synctest an hour costs nothing.
func Example() {
	// In a file of tests this is func TestClock(t *testing.T).
	testClock := func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			gw := gateway.New(nil)
			gw.Handle("/clock", clock())

			p := gatewaytest.NewServer(t, gw).Dial(t, "/clock")
			if got := string(p.Receive().Data); got != "you have an hour" {
				t.Errorf("the first message is %q", got)
			}
			start := time.Now()
			time.Sleep(59 * time.Minute)
			synctest.Wait() // everything that can happen has happened
			if n := gw.Stats().Open; n != 1 {
				t.Errorf("%d sockets are open after 59 minutes, want 1", n)
			}
			time.Sleep(time.Minute)
			if code, reason := p.Closed(); code != 4000 || reason != "the hour is over" ||
				time.Since(start) != time.Hour {
				t.Errorf("closed with %d %q after %v", code, reason, time.Since(start))
			}
		})
	}
	fmt.Println("passed:", run(testClock)) // go test does that
	// Output:
	// passed: true
}
