package deliver

import (
	"maps"
	"time"
)

const (
	// parkedMost bounds the deliveries that wait in memory for an earlier one of their record. They take no room from
	// others; more of them go back to the due-queue.
	parkedMost = 128
	// backEach bounds how many of a lane go back in backFirst, and so how often they are claimed for nothing. They are
	// due again together, in the order of their events, when all of them can have been looked at: after backFirst and
	// longer the more they are, and after backMost at the latest.
	backEach  = 4096
	backFirst = time.Second
	backMost  = time.Minute
)

// record is what a delivery changes at the product.
type record struct {
	group group
	key   string
}

// sentBack are the deliveries of a record that went back to the due-queue.
type sentBack struct {
	until time.Time // when they are due again
	n     int
}

// goesBack says when a delivery is due again that finds too many before it that change its record; zero where it may
// wait in memory, or need not wait. Until those come that went back, those behind them go back as well. l.mu is held.
func (l *lane) goesBack(of record, busy bool, now time.Time) (until time.Time) {
	g := &l.gather
	back := g.back[of]
	if !back.until.After(now) {
		if !busy || l.blockedByRecord < parkedMost {
			return until
		}
		if g.back == nil {
			g.back = map[record]sentBack{}
		}
		l.forget(now)
		back = sentBack{until: now.Add(min(backFirst+time.Duration(back.n)*backFirst/backEach, backMost))}
	}
	back.n++
	g.back[of] = back
	g.backs++
	return back.until
}

// forget takes out the records that have been quiet for long: each time over all of them would cost the more, the more
// records are busy. l.mu is held.
func (l *lane) forget(now time.Time) {
	g := &l.gather
	if since := now.Sub(g.forgot); since >= 0 && since < backMost/4 {
		return
	}
	g.forgot = now
	maps.DeleteFunc(g.back, func(_ record, b sentBack) bool { return b.until.Before(now.Add(-backMost)) })
}

// lookingBack says until when nothing more is claimed for the lane, because so many of it had to go back. l.mu is held.
func (l *lane) lookingBack(now time.Time) (until time.Time) {
	g := &l.gather
	if now.Sub(g.backsSince) >= backFirst {
		g.backsSince, g.backs = now, 0
	}
	if g.backs < backEach {
		return until
	}
	return g.backsSince.Add(backFirst)
}

// park makes a batch wait for one that is before it with the same record. l.mu is held.
func (l *lane) park(b, before *batch) {
	if b.before++; b.before == 1 {
		l.blockedByRecord += len(b.jobs)
	}
	b.holds++
	before.behind = append(before.behind, b)
}

// unpark is the end of one that it waits for. l.mu is held.
func (l *lane) unpark(b *batch) {
	if b.before == 1 {
		l.blockedByRecord -= len(b.jobs)
	}
	b.before = max(b.before-1, 0)
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
