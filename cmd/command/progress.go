package command

import (
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"time"
)

const (
	drawAfter = 300 * time.Millisecond // work that takes less shows nothing
	drawEvery = time.Second / 10
	tickEvery = time.Second / 5 // redraws what was shown last, and the time, where nothing calls show

	firstLine  = 10 * time.Second // until the first plain line; each pause is twice the one before
	mostPause  = 5 * time.Minute
	rateWindow = 10 // seconds that the rate is measured over

	mostBar, leastBar = 30, 10 // columns
)

// clearLine returns to the beginning of a terminal's line and clears it.
const clearLine = "\r\x1b[K"

// A terminal must not break a line that is wider than it says it is: only the last of two lines would be cleared.
const (
	wrapOff = "\x1b[?7l"
	wrapOn  = "\x1b[?7h"
)

// progress shows how far long work has come: on a terminal a bar, which is redrawn in place and cleared at the end, elsewhere plain lines
// or nothing. It may be used by several goroutines.
type progress struct {
	to             io.Writer // nil: nothing is shown
	terminal       bool
	columns        func() int
	unicode, color bool
	now            func() time.Time

	mu          sync.Mutex
	began       time.Time
	drawn       time.Time // the bar; zero if there is none on the terminal
	line        time.Time // when the next plain line is due
	pause       time.Duration
	called      bool // show was called
	ended       bool
	done, total int
	shown       time.Time // when they were set
	what        string
	marks       []mark // of the last seconds, oldest first

	stop chan struct{}
	tick sync.WaitGroup
}

// mark is how much was done at a time.
type mark struct {
	at   time.Time
	done int
}

// progress begins to show how far work has come, on stderr. If that is not a terminal, it prints a plain line after 10 s, 20 s, 40 s… if
// lines is set, and nothing otherwise. Callers must call end before they print anything else.
func (g *globals) progress(lines bool) *progress {
	p := &progress{now: time.Now}
	if terminal := terminalOf(g.err); terminal != nil && environ("TERM") != "dumb" {
		p.to, p.terminal = terminal, true
		p.columns = func() int { return columnsOf(terminal) }
		p.unicode, p.color = isUTF8(environ), environ("NO_COLOR") == ""
	} else if lines {
		p.to = g.err
	}
	p.begin()
	if p.to != nil {
		p.stop = make(chan struct{})
		p.tick.Go(p.redraw)
	}
	return p
}

// isUTF8 reports whether the locale of the environment has UTF-8. An environment without a locale has ASCII only.
func isUTF8(environ func(string) string) bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if locale := strings.ToLower(environ(name)); locale != "" {
			return strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
		}
	}
	return false
}

func (p *progress) begin() {
	p.began, p.pause = p.now(), firstLine
	p.line = p.began.Add(p.pause)
}

// redraw shows again what was shown last, until the end.
func (p *progress) redraw() {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticker.C:
			p.mu.Lock()
			p.draw()
			p.mu.Unlock()
		}
	}
}

// show sets how much is done of a total, which is 0 if it is not known, and what is being done, in a few words.
func (p *progress) show(done, total int, what string) {
	if p.to == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.called && done < p.done {
		p.marks = p.marks[:0] // other work has begun: the rate of the former says nothing
	}
	p.done, p.total, p.what, p.called, p.shown = done, total, what, true, p.now()
	p.draw()
}

// end clears the bar. What is shown later is ignored.
func (p *progress) end() {
	p.mu.Lock()
	ended := p.ended
	p.ended = true
	if !p.drawn.IsZero() && !ended {
		_, _ = io.WriteString(p.to, clearLine)
	}
	p.mu.Unlock()
	if !ended && p.stop != nil {
		close(p.stop)
	}
	p.tick.Wait()
}

// draw draws the bar, or prints a plain line, if it is time to.
func (p *progress) draw() {
	now := p.now()
	if p.ended || !p.called {
		return
	}
	if n := len(p.marks); n == 0 || now.Sub(p.marks[n-1].at) >= time.Second {
		if n > rateWindow {
			p.marks = append(p.marks[:0], p.marks[1:]...)
		}
		p.marks = append(p.marks, mark{now, p.done})
	}
	if !p.terminal {
		if now.Before(p.line) {
			return
		}
		p.pause = min(2*p.pause, mostPause)
		p.line = now.Add(p.pause)
		_, _ = io.WriteString(p.to, folded(strings.Join(p.parts(now), ", ")+"\n"))
		return
	}
	if now.Sub(p.began) < drawAfter || !p.drawn.IsZero() && now.Sub(p.drawn) < drawEvery {
		return
	}
	p.drawn = now
	_, _ = io.WriteString(p.to, clearLine+wrapOff+p.drawing(now)+wrapOn)
}

// drawing returns the terminal's line: at most one column less than it has, because some terminals go to the next line at the last one.
func (p *progress) drawing(now time.Time) string {
	most := p.columns()
	if most <= 0 {
		most = width
	}
	most--
	bar := ""
	if p.total > 0 {
		columns := min(most/4, mostBar)
		if columns >= leastBar {
			bar = p.bar(columns)
			most -= columns + 1
		}
	}
	var text strings.Builder
	_, _ = visible{&text}.Write([]byte(strings.Join(p.parts(now), "  ")))
	line := fitted(text.String(), most, p.unicode)
	if bar != "" {
		line = bar + " " + line
	}
	return line
}

// bar draws the part that is done.
func (p *progress) bar(columns int) string {
	full, rest := "█", "░"
	if !p.unicode {
		columns -= 2
		full, rest = "#", "-"
	}
	n := int(p.share() * float64(columns))
	full, rest = strings.Repeat(full, n), strings.Repeat(rest, columns-n)
	if p.color {
		full, rest = green+full+plain, dim+rest+plain
	}
	if !p.unicode {
		return "[" + full + rest + "]"
	}
	return full + rest
}

// share is the part that is done, from 0 to 1.
func (p *progress) share() float64 { return max(0, min(1, float64(p.done)/float64(p.total))) }

// parts returns what is known, the most important first.
func (p *progress) parts(now time.Time) (all []string) {
	rate := p.rate(now)
	if p.total > 0 {
		all = append(all, fmt.Sprintf("%3d%%", int(p.share()*100)), fmt.Sprintf("%d of %d", p.done, p.total))
	} else if p.done > 0 {
		all = append(all, fmt.Sprint(p.done))
	}
	if rate > 0 {
		all = append(all, rateText(rate))
	}
	switch {
	case p.total > 0 && rate > 0 && p.done < p.total:
		all = append(all, coarse(time.Duration(float64(p.total-p.done)/rate*float64(time.Second)))+" left")
	case p.total <= 0 || rate == 0:
		all = append(all, coarse(now.Sub(p.began)))
	}
	if p.what != "" {
		all = append(all, strings.Join(strings.Fields(p.what), " ")) // in one line
	}
	if !p.terminal {
		all[0] = strings.TrimLeft(all[0], " ")
	}
	return all
}

// rate is how much was done per second lately; 0 if that is not known yet, or nothing was.
func (p *progress) rate(now time.Time) float64 {
	if len(p.marks) == 0 {
		return 0
	}
	first := p.marks[0]
	if now.Sub(p.shown) < time.Second {
		now = p.shown // what was done since is not known yet
	}
	took := now.Sub(first.at)
	if took < time.Second || p.done <= first.done {
		return 0
	}
	return float64(p.done-first.done) / took.Seconds()
}

func rateText(perSecond float64) string {
	switch {
	case perSecond >= 10:
		return fmt.Sprintf("%.0f/s", perSecond)
	case perSecond >= 1:
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	return fmt.Sprintf("%.1f/min", perSecond*60)
}

// coarse is a duration in at most two units.
func coarse(d time.Duration) string {
	seconds := int(math.Round(min(d, 1000*time.Hour).Seconds()))
	switch {
	case seconds < 60:
		return fmt.Sprintf("%ds", seconds)
	case seconds < 3600:
		return fmt.Sprintf("%dm%02ds", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%dh%02dm", seconds/3600, seconds%3600/60)
}

// fitted cuts a text to so many characters; without Unicode, what is not ASCII is a question mark.
func fitted(text string, most int, unicode bool) string {
	if !unicode {
		text = strings.Map(func(r rune) rune {
			if r > '~' {
				return '?'
			}
			return r
		}, text)
	}
	runes := []rune(text)
	if len(runes) <= most {
		return text
	}
	if !unicode {
		return string(runes[:max(0, most-3)]) + "..."
	}
	return string(runes[:max(0, most-1)]) + "…"
}
