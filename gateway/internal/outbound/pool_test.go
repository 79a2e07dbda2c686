package outbound

import (
	"context"
	"net"
	"testing"
	"time"
)

// closing is a connection that tells when it is closed.
type closing struct {
	net.Conn
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestSweep(t *testing.T) {
	t.Parallel()
	ps := newPools(nil)
	defer ps.close()
	key := poolKey{addr: "127.0.0.1:1"}
	p := ps.acquire(key)
	old, fresh := &closing{}, &closing{}
	for _, c := range []*closing{old, fresh} {
		p.put(&conn{Conn: c})
	}
	p.idle[0].idle = wall.Now().Add(-IdleTimeout - time.Second)
	p.leave()
	ps.sweep()
	if !old.closed || fresh.closed || len(p.idle) != 1 {
		t.Fatalf("old closed %t, fresh closed %t, %d left", old.closed, fresh.closed, len(p.idle))
	}
	if ps.timer == nil {
		t.Error("nothing will sweep again")
	}
	if ps.acquire(key) != p {
		t.Error("a pool that holds a connection was forgotten")
	}
	p.idle[0].idle = wall.Now().Add(-IdleTimeout - time.Second)
	if p.take() != nil {
		t.Error("too old a connection was handed out")
	}
	ps.sweep()
	if !fresh.closed || ps.byKey[key] != p {
		t.Error("a pool in use was forgotten, or its connection kept")
	}
	p.leave()
	ps.sweep()
	if len(ps.byKey) != 0 || ps.timer != nil {
		t.Errorf("%d pools are remembered", len(ps.byKey))
	}
}

func TestPutAfterClose(t *testing.T) {
	t.Parallel()
	ps := newPools(nil)
	before := ps.acquire(poolKey{addr: "a"})
	idle := &closing{}
	before.put(&conn{Conn: idle})
	ps.close()
	if !idle.closed {
		t.Error("a kept connection stayed open")
	}
	for _, p := range []*pool{before, ps.acquire(poolKey{addr: "b"})} {
		late := &closing{}
		p.put(&conn{Conn: late})
		p.leave()
		if !late.closed || p.take() != nil {
			t.Error("a connection was kept after the end")
		}
	}
	if ps.timer != nil {
		t.Error("a timer runs after the end") // goleak sees no timers
	}
}

func TestEnterGivesUp(t *testing.T) {
	t.Parallel()
	ps := newPools(nil)
	defer ps.close()
	key := poolKey{addr: "a", max: 1}
	first := ps.acquire(key)
	if err := first.enter(context.Background(), wall.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := ps.acquire(key).enter(ctx, wall.Now().Add(time.Minute)); err == nil {
		t.Error("entered a full pool")
	}
	first.leave()
	if first.users != 0 {
		t.Errorf("%d users are counted", first.users)
	}
}
