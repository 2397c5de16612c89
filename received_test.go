package gateway

import "testing"

// What counts for a message that has come in part is the memory that it gets.
func TestReceivedSize(t *testing.T) {
	for _, size := range []int{1, leastReceived - 1, leastReceived, leastReceived + 1, 1 << 10, 1000,
		4097, mostReceived - 1, mostReceived, mostReceived + 1} {
		want := receivedSize(size)
		switch r := newReceived(size); {
		case r == nil:
			if want != size || size >= leastReceived && size <= mostReceived {
				t.Errorf("no memory for %d bytes, and %d count", size, want)
			}
		case len(*r.memory) != want || want < size || want >= 2*size:
			t.Errorf("memory of %d for %d bytes, and %d count", len(*r.memory), size, want)
		default:
			r.release()
		}
	}
}
