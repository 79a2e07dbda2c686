package command

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
)

// comparison is what two backtests differ in.
type comparison struct {
	// Before is what the saved result asked; Result is the whole of the new one.
	Before comparedRun        `json:"before"`
	Rules  []comparedRule     `json:"rules"`
	Result *client.Backtested `json:"result"`
}

type comparedRun struct {
	At    time.Time `json:"at"`
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	Asked int       `json:"asked"`
}

// comparedRule are the figures of one rule. Before or Now is absent where that result has no such rule.
type comparedRule struct {
	Rule   string           `json:"rule"`
	Kind   string           `json:"kind"`
	Before *comparedFigures `json:"before,omitempty"`
	Now    *comparedFigures `json:"now,omitempty"`
	// Days are those on which it matches another number.
	Days []comparedDay `json:"days,omitempty"`
}

type comparedFigures struct {
	Asked    int `json:"asked"`
	Matched  int `json:"matched"`
	Unknown  int `json:"unknown"`
	Sent     int `json:"sent"`
	Skipped  int `json:"skipped"`
	Rejected int `json:"rejected"`
	Waiting  int `json:"waiting"`
	Clipped  int `json:"clipped"`
}

type comparedDay struct {
	Day    string `json:"day"`
	Before int    `json:"before"`
	Now    int    `json:"now"`
}

// compared shows in what a result differs from a saved one.
func (b *backtesting) compared(before, now *client.Backtested) error {
	c := compare(before, now)
	if b.json {
		return b.print(c)
	}
	b.say("before: %s, asked at %s about %d %s received from %s to %s\n", b.against, before.At.Format(toMinute), before.Asked, plural(before.Asked, "event"),
		before.Since.Format(toMinute), before.Until.Format(toMinute))
	b.say("now: %d %s received from %s to %s\n", now.Asked, plural(now.Asked, "event"), now.Since.Format(toMinute), now.Until.Format(toMinute))
	if before.Source != now.Source || before.Survey != now.Survey || before.Type != now.Type {
		b.say("  they select other events: source %q, survey %q, type %q before, and %q, %q, %q now\n",
			before.Source, before.Survey, before.Type, now.Source, now.Survey, now.Type)
	}
	if text := b.variables(); text != "" {
		b.say("  %s\n", text)
	}
	for i := range c.Rules {
		b.printf("\n")
		b.comparedRule(&c.Rules[i])
	}
	return nil
}

func compare(before, now *client.Backtested) *comparison {
	c := &comparison{Before: comparedRun{before.At.Time, before.Since.Time, before.Until.Time, before.Asked}, Rules: []comparedRule{}, Result: now}
	find := func(in *client.Backtested, r *client.BacktestedRule) *client.BacktestedRule {
		for i := range in.Rules {
			if in.Rules[i].Rule == r.Rule && in.Rules[i].Kind == r.Kind {
				return &in.Rules[i]
			}
		}
		return nil
	}
	for i := range now.Rules {
		r := &now.Rules[i]
		one := comparedRule{Rule: r.Rule, Kind: r.Kind, Now: figuresOf(r)}
		if was := find(before, r); was != nil {
			one.Before, one.Days = figuresOf(was), differingDays(was, r)
		}
		c.Rules = append(c.Rules, one)
	}
	for i := range before.Rules {
		if r := &before.Rules[i]; find(now, r) == nil {
			c.Rules = append(c.Rules, comparedRule{Rule: r.Rule, Kind: r.Kind, Before: figuresOf(r)})
		}
	}
	return c
}

func figuresOf(r *client.BacktestedRule) *comparedFigures {
	f := &comparedFigures{Asked: r.Asked, Matched: r.Matched, Unknown: r.Unknown}
	for _, s := range r.Steps {
		f.Sent += s.Sent
		f.Skipped += s.Skipped
		f.Rejected += s.Rejected
		f.Waiting += s.Waiting
		f.Clipped += s.Clipped
	}
	return f
}

// differingDays returns the days with different counts, oldest first.
func differingDays(before, now *client.BacktestedRule) (all []comparedDay) {
	days := map[string]comparedDay{}
	for _, d := range before.Days {
		days[d.Day] = comparedDay{Day: d.Day, Before: d.Count}
	}
	for _, d := range now.Days {
		days[d.Day] = comparedDay{Day: d.Day, Before: days[d.Day].Before, Now: d.Count}
	}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		if d := days[day]; d.Before != d.Now {
			all = append(all, d)
		}
	}
	return all
}

// comparedRule prints the figures of one rule.
func (b *backtesting) comparedRule(r *comparedRule) {
	switch {
	case r.Before == nil:
		b.say("%s %s: not among those before; it would have matched %d of %d now\n", r.Kind, r.Rule, r.Now.Matched, r.Now.Asked)
		return
	case r.Now == nil:
		b.say("%s %s: not asked now; it would have matched %d of %d before\n", r.Kind, r.Rule, r.Before.Matched, r.Before.Asked)
		return
	}
	difference := "the same"
	if *r.Before != *r.Now || len(r.Days) > 0 {
		difference = fmt.Sprintf("would have matched %d, before %d", r.Now.Matched, r.Before.Matched)
	}
	b.say("%s %s: %s\n", r.Kind, r.Rule, difference)
	if difference == "the same" {
		return
	}
	b.printf("  %-10s  %8s  %8s  %10s\n", "", "before", "now", "difference")
	for _, row := range []struct {
		name        string
		before, now int
	}{
		{"asked", r.Before.Asked, r.Now.Asked},
		{"matched", r.Before.Matched, r.Now.Matched},
		{"unknown", r.Before.Unknown, r.Now.Unknown},
		{"sent", r.Before.Sent, r.Now.Sent},
		{"skipped", r.Before.Skipped, r.Now.Skipped},
		{"rejected", r.Before.Rejected, r.Now.Rejected},
		{"waiting", r.Before.Waiting, r.Now.Waiting},
		{"cut", r.Before.Clipped, r.Now.Clipped},
	} {
		if row.before != 0 || row.now != 0 {
			b.difference(row.name, row.before, row.now)
		}
	}
	for i, d := range r.Days {
		switch {
		case i == maxDayRows:
			b.printf("  … and %d more days: see --json\n", len(r.Days)-i)
			return
		case i == 0:
			b.printf("  matched, on days on which it differs\n")
		}
		b.difference(d.Day, d.Before, d.Now)
	}
}

func (b *backtesting) difference(name string, before, now int) {
	difference := strconv.Itoa(now - before)
	if now > before {
		difference = "+" + difference
	}
	b.printf("  %-10s  %8d  %8d  %10s\n", name, before, now, difference)
}
