package deliver

import (
	"maps"
	"time"
)

const (
	// parkedMost bounds the deliveries that wait in memory for an earlier one of their record, beside the lane's other bounds; more of
	// them go back to the due-queue.
	parkedMost = 128
	// backEach bounds how many deliveries of a lane go back within backFirst, and so how often they are claimed in vain. They are due
	// again together, in the order of their events: after backFirst, later the more there are, and after backMost at the latest.
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

// goesBack returns when a delivery is due again for which too many earlier ones of its record wait; zero if it can wait in memory, or
// need not wait. As long as earlier ones are back in the due-queue, later ones go back too. l.mu is held.
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

// forget removes records that have been quiet for long, only now and then, because it reads all of them. l.mu is held.
func (l *lane) forget(now time.Time) {
	g := &l.gather
	if since := now.Sub(g.forgot); since >= 0 && since < backMost/4 {
		return
	}
	g.forgot = now
	maps.DeleteFunc(g.back, func(_ record, b sentBack) bool { return b.until.Before(now.Add(-backMost)) })
}

// lookingBack returns until when no delivery is claimed for the lane because too many had to go back. l.mu is held.
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

// park makes a batch wait for an earlier one with the same record. l.mu is held.
func (l *lane) park(b, before *batch) {
	if b.before++; b.before == 1 {
		l.blockedByRecord += len(b.jobs)
	}
	b.holds++
	before.behind = append(before.behind, b)
}

// unpark counts the end of one batch that it waits for. l.mu is held.
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
