package deliver

import (
	"maps"
	"time"
)

const (
	// maxParked bounds the deliveries that wait in memory for an earlier one of their record, beside the lane's other bounds; more of
	// them go back to the due-queue.
	maxParked = 128
	// maxSentBack bounds how many deliveries of a lane go back to the due-queue within minSendBack, and so how often they are claimed
	// in vain. They are due again together, in the order of their events: after minSendBack or later, depending on their number, and
	// after maxSendBack at the latest.
	maxSentBack = 4096
	minSendBack = time.Second
	maxSendBack = time.Minute
)

// record is what a delivery changes at the product. group is zero if several steps of the destination change it.
type record struct {
	group group
	key   string
}

func (j *job) record() record {
	if j.sharesKey {
		return record{key: j.key}
	}
	return record{group{j.delivery.Origin, j.delivery.Step}, j.key}
}

// sentBack are the deliveries of a record that went back to the due-queue.
type sentBack struct {
	until time.Time // when they are due again
	count int
}

// sendBackUntil returns when a delivery is due again that has to go back to the due-queue, because too many earlier ones of its record
// wait in memory. It is zero if the delivery can wait in memory, or need not wait. As long as earlier ones are back in the due-queue, later ones go back too. l.mu is held.
func (l *lane) sendBackUntil(of record, busy bool, now time.Time) (until time.Time) {
	g := &l.gather
	back := g.sentBack[of]
	if !back.until.After(now) {
		if !busy || l.blockedByRecord < maxParked {
			return until
		}
		if g.sentBack == nil {
			g.sentBack = map[record]sentBack{}
		}
		l.dropQuietRecords(now)
		back = sentBack{until: now.Add(min(minSendBack+time.Duration(back.count)*minSendBack/maxSentBack, maxSendBack))}
	}
	back.count++
	g.sentBack[of] = back
	g.sentBackCount++
	return back.until
}

// dropQuietRecords removes records that have been quiet for long, only now and then, because it reads all of them. l.mu is held.
func (l *lane) dropQuietRecords(now time.Time) {
	g := &l.gather
	if since := now.Sub(g.quietDroppedAt); since >= 0 && since < maxSendBack/4 {
		return
	}
	g.quietDroppedAt = now
	maps.DeleteFunc(g.sentBack, func(_ record, b sentBack) bool { return b.until.Before(now.Add(-maxSendBack)) })
}

// claimAgainAt returns until when no delivery is claimed for the lane, because too many were sent back; zero: claim now. l.mu is held.
func (l *lane) claimAgainAt(now time.Time) (until time.Time) {
	g := &l.gather
	if now.Sub(g.sentBackSince) >= minSendBack {
		g.sentBackSince, g.sentBackCount = now, 0
	}
	if g.sentBackCount < maxSentBack {
		return until
	}
	return g.sentBackSince.Add(minSendBack)
}

// park makes a batch wait for an earlier one with the same record. l.mu is held.
func (l *lane) park(b, before *batch) {
	if b.blockers++; b.blockers == 1 {
		l.blockedByRecord += len(b.jobs)
	}
	b.obstacles++
	before.waiters = append(before.waiters, b)
}

// unpark counts the end of one batch that it waits for. l.mu is held.
func (l *lane) unpark(b *batch) {
	if b.blockers == 1 {
		l.blockedByRecord -= len(b.jobs)
	}
	b.blockers = max(b.blockers-1, 0)
}

func maxTime(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
