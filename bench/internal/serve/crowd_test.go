package serve

import (
	"strings"
	"testing"
)

func newTestCrowd(t *testing.T, maker func(Config) (server, error)) *crowd {
	t.Helper()
	s, err := maker(Config{})
	if err != nil {
		t.Fatal(err)
	}
	c := s.(*crowd)
	if c.plain == nil {
		t.Cleanup(func() {
			if err := c.gw.Shutdown(t.Context()); err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
		})
	}
	return c
}

func mustDo(t *testing.T, c *crowd, all ...Crowd) {
	t.Helper()
	for _, w := range all {
		if err := c.do(w); err != nil {
			t.Fatalf("%+v: %v", w, err)
		}
	}
}

func TestCrowdGetsWhatItShould(t *testing.T) {
	c := newTestCrowd(t, newCrowd)
	mustDo(t, c,
		Crowd{Do: CrowdOpen, N: 12}, Crowd{Do: CrowdGroup, N: 12, Of: 3},
		Crowd{Do: CrowdSend, N: 40, Of: 4, To: 4}, Crowd{Do: CrowdTell, N: 50, Of: 5},
		Crowd{Do: CrowdTell, N: 12, Of: 1}, Crowd{Do: CrowdCheck},
	)
	if n := c.clients[3].got.Load(); n < 10+12 {
		t.Errorf("client 3 got %d messages, want its part of 40 sends to 4 of 12, and of 62 to its 3 "+
			"groups of 12", n)
	}
	c.clients[5].got.Add(-1)
	if err := c.do(Crowd{Do: CrowdCheck}); err == nil || !strings.Contains(err.Error(), "client 5") {
		t.Errorf("check = %v, want an error that names client 5, who lacks a message", err)
	}
}

func TestCrowdInOneGroupThatItLeavesAndJoins(t *testing.T) {
	c := newTestCrowd(t, newCrowd)
	mustDo(t, c,
		Crowd{Do: CrowdOpen, N: 12}, Crowd{Do: CrowdGroup, N: 1, Of: 12},
		Crowd{Do: CrowdRejoin, N: 100}, Crowd{Do: CrowdTell, N: 3, Of: 1}, Crowd{Do: CrowdCheck},
	)
}

func TestCrowdOnAMapGetsWhatItShould(t *testing.T) {
	c := newTestCrowd(t, newCrowdMap)
	mustDo(t, c, Crowd{Do: CrowdOpen, N: 10}, Crowd{Do: CrowdSend, N: 100, Of: 10, To: 10},
		Crowd{Do: CrowdCheck})
}

func TestCrowdNoticesWhatIsWrong(t *testing.T) {
	c := newTestCrowd(t, newCrowd)
	mustDo(t, c, Crowd{Do: CrowdOpen, N: 2})
	good := crowdMessage
	defer func() { crowdMessage = good }()
	crowdMessage.Data = []byte(strings.Repeat("y", 64))
	if err := c.do(Crowd{Do: CrowdSend, N: 2, Of: 2, To: 2}); err == nil ||
		!strings.Contains(err.Error(), "a client got") {
		t.Errorf("a send of other bytes = %v, want an error that shows them", err)
	}
}
