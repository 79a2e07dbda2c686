package deliver

import (
	"slices"
	"time"
)

// pace is a sliding-window limit of a destination's requests: at most limit requests begin within any window, however long admitted
// deliveries wait. A request occupies a place from its reservation until one window after it began. The lane's limiter decides how many deliveries are admitted; alone
// it would send a second's worth at once, and the next one in the following second.
//
// A request whose chain is longer than the rate begins without a place, and those behind it wait. The lane's mu guards it.
type pace struct {
	limit    int
	window   time.Duration
	began    []time.Time // the oldest first; those of the last window count
	reserved int         // places of attempts that have not made all their requests yet
}

func newPace(most int, window time.Duration) *pace { return &pace{limit: max(most, 1), window: window} }

// take takes places for an attempt of n requests, whose first one begins now. If there are too few it takes none, and returns how long
// to wait before the next call.
func (p *pace) take(n int, now time.Time) (wait time.Duration) {
	n = min(n, p.limit)
	p.dropExpired(now)
	if short := p.reserved + len(p.began) + n - p.limit; short > 0 {
		if short > len(p.began) { // the others are held by attempts that run
			return recheck
		}
		return p.began[short-1].Add(p.window).Sub(now)
	}
	p.reserved += n - 1
	p.began = append(p.began, now)
	return 0
}

// countRequest counts the next request of an attempt that has reserved so many places beyond its first, and returns how many of them
// are left.
func (p *pace) countRequest(held int, now time.Time) (left int) {
	p.dropExpired(now)
	p.began = append(p.began, now)
	if held == 0 {
		return 0
	}
	p.reserved--
	return held - 1
}

// giveBack releases the places that were reserved for requests which an attempt did not make.
func (p *pace) giveBack(held int) { p.reserved -= held }

// dropExpired drops the requests that began a window ago.
func (p *pace) dropExpired(now time.Time) {
	gone := 0
	for gone < len(p.began) && now.Sub(p.began[gone]) >= p.window {
		gone++
	}
	if gone > 0 {
		p.began = p.began[:copy(p.began, p.began[gone:])]
	}
}

// await waits until the rate lets an attempt begin, or returns why it has to be put off, and until when.
func (l *lane) await(j *job) (reason string, due time.Time) {
	for {
		now := l.loop.Clock.Now()
		if !slices.ContainsFunc(j.members(), func(j *job) bool { return !j.ended() }) {
			return reasonQueue, now // none of them is put off
		}
		wait, reason := l.takePlaces(j, now)
		switch {
		case reason != "":
			return reason, now
		case wait == 0:
			return "", now
		case wait > rateAhead:
			return reasonRate, now.Add(wait)
		}
		alarm, stop := l.loop.Clock.After(wait)
		select {
		case <-alarm:
		case <-l.loop.lanes.halt:
		}
		stop()
	}
}

func (l *lane) takePlaces(j *job, now time.Time) (wait time.Duration, reason string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.pace, j.places = l.pace, 0
	if reason = l.refuses(now); reason != "" || j.pace == nil {
		return 0, reason
	}
	if wait = j.pace.take(j.requests, now); wait == 0 {
		j.places = min(j.requests, j.pace.limit) - 1
	}
	return wait, ""
}

// countRequest counts one more request of an attempt.
func (l *lane) countRequest(j *job) {
	if j.pace == nil {
		return
	}
	now := l.loop.Clock.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	j.places = j.pace.countRequest(j.places, now)
}

// releasePlaces gives back the places that an attempt did not need.
func (l *lane) releasePlaces(j *job) {
	if j.pace == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	j.pace.giveBack(j.places)
	j.places = 0
}
