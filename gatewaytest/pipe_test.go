package gatewaytest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func wantRead(t *testing.T, c net.Conn, want string, wantErr error) {
	t.Helper()
	p := make([]byte, len(want)+10)
	n, err := c.Read(p)
	if string(p[:n]) != want || !errors.Is(err, wantErr) {
		t.Errorf("Read = %q, %v, want %q, %v", p[:n], err, want, wantErr)
	}
}

func wantWrite(t *testing.T, c net.Conn, text string, want int, wantErr error) {
	t.Helper()
	if n, err := c.Write([]byte(text)); n != want || !errors.Is(err, wantErr) {
		t.Errorf("Write of %d bytes = %d, %v, want %d, %v", len(text), n, err, want, wantErr)
	}
}

// What is written can be read, in pieces too; both ends know each other's
// address.
func TestPipe(t *testing.T) {
	a, b := newPipe("192.0.2.1:1024", "192.0.2.2:80")
	wantWrite(t, a, "hello", 5, nil)
	wantWrite(t, b, "you too", 7, nil)
	p := make([]byte, 3)
	if _, err := io.ReadFull(b, p); err != nil || string(p) != "hel" {
		t.Errorf("Read of 3 bytes = %q, %v, want hel", p, err)
	}
	wantRead(t, b, "lo", nil)
	wantRead(t, a, "you too", nil)
	if n, err := a.Read(nil); n != 0 || err != nil {
		t.Errorf("Read of nothing = %d, %v, want 0, nil", n, err)
	}
	for _, c := range []struct{ got, want net.Addr }{{a.LocalAddr(), b.RemoteAddr()},
		{a.RemoteAddr(), b.LocalAddr()}} {
		if c.got.String() != c.want.String() || c.got.Network() != "tcp" {
			t.Errorf("address %v of network %s, want %v of tcp", c.got, c.got.Network(), c.want)
		}
	}
}

// A write waits while the buffer is full, and not before.
func TestPipeIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe("a", "b")
		wantWrite(t, a, strings.Repeat("x", bufferSize), bufferSize, nil)
		written := false
		go func() {
			wantWrite(t, a, "more", 4, nil)
			written = true
		}()
		synctest.Wait()
		if written {
			t.Error("Write into a full buffer returns, want it to wait")
		}
		if _, err := io.ReadFull(b, make([]byte, bufferSize)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !written {
			t.Error("Write waits although there is room")
		}
		wantRead(t, b, "more", nil)
	})
}

// The end of a connection: what was written before it arrives.
func TestPipeCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe("a", "b")
		go func() { // is told while it waits
			_, err := a.Read(make([]byte, 1))
			if !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read that waits when its end is closed = %v, want net.ErrClosed", err)
			}
		}()
		synctest.Wait()
		wantWrite(t, a, "last words", 10, nil)
		a.Close()
		a.Close() // changes nothing
		wantRead(t, b, "last words", nil)
		wantRead(t, b, "", io.EOF)
		wantWrite(t, b, "too late", 0, syscall.EPIPE)
		wantRead(t, a, "", net.ErrClosed)
		wantWrite(t, a, "too late", 0, net.ErrClosed)
	})
}

func TestPipeClosesOneDirection(t *testing.T) {
	a, b := newPipe("a", "b")
	wantWrite(t, a, "last words", 10, nil)
	if err := a.CloseWrite(); err != nil {
		t.Errorf("CloseWrite = %v, want nil", err)
	}
	wantWrite(t, a, "more", 0, net.ErrClosed)
	wantRead(t, b, "last words", nil)
	wantRead(t, b, "", io.EOF)
	wantWrite(t, b, "an answer", 9, nil)
	wantRead(t, a, "an answer", nil)
}

// A deadline ends waiting; a new one or none lets it go on. Afterwards no timer
// is left, which the bubble sees to.
func TestPipeDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe("a", "b")
		start := time.Now()
		a.SetDeadline(start.Add(time.Second))
		wantRead(t, a, "", os.ErrDeadlineExceeded)
		wantWrite(t, a, strings.Repeat("x", bufferSize+1), 0, os.ErrDeadlineExceeded) // also with room
		if d := time.Since(start); d != time.Second {
			t.Errorf("the deadline ends a read after %v, want 1s", d)
		}
		a.SetReadDeadline(time.Now().Add(time.Second))
		a.SetReadDeadline(time.Now().Add(time.Hour)) // takes the place of the first
		a.SetWriteDeadline(time.Time{})
		go func() {
			time.Sleep(time.Minute)
			b.Write([]byte("late"))
		}()
		wantRead(t, a, "late", nil)
		a.SetReadDeadline(time.Now().Add(-time.Second))
		wantRead(t, a, "", os.ErrDeadlineExceeded)
		a.SetReadDeadline(time.Now().Add(time.Hour))
		b.SetWriteDeadline(time.Now().Add(time.Second))
		wantWrite(t, b, strings.Repeat("x", bufferSize+1), bufferSize, os.ErrDeadlineExceeded)
		a.Close()
		b.Close()
	})
}

// A stalled reader gets nothing, and not even the end; once it goes on it gets
// all.
func TestPipeStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := newPipe("a", "b")
		b.in.stall(true)
		var got bytes.Buffer
		done := false
		go func() {
			if _, err := got.ReadFrom(b); err != nil {
				t.Errorf("reading after a stall: %v", err)
			}
			done = true
		}()
		wantWrite(t, a, "hello", 5, nil)
		a.Close()
		synctest.Wait()
		if done || got.Len() > 0 {
			t.Errorf("a stalled reader got %q (at its end: %v), want nothing", got.String(), done)
		}
		b.in.stall(false)
		synctest.Wait()
		if !done || got.String() != "hello" {
			t.Errorf("after the stall the reader got %q (at its end: %v), want hello and the end",
				got.String(), done)
		}
	})
}
