package command

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// drawn is a progress that draws into a buffer, by a clock that the test moves.
type drawn struct {
	*progress
	out bytes.Buffer
	at  time.Time
}

func newDrawn(terminal bool, columns int) *drawn {
	d := &drawn{at: time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)}
	d.progress = &progress{
		to: &d.out, terminal: terminal, columns: func() int { return columns }, unicode: true,
		now: func() time.Time { return d.at },
	}
	d.begin()
	return d
}

// after moves the clock, shows, and returns what was written.
func (d *drawn) after(wait time.Duration, done, total int, what string) string {
	d.out.Reset()
	d.at = d.at.Add(wait)
	d.show(done, total, what)
	return d.out.String()
}

// line is what a terminal shows after what was written.
func line(t *testing.T, written string) string {
	t.Helper()
	text, ok := strings.CutPrefix(written, clearLine+wrapOff)
	text, whole := strings.CutSuffix(text, wrapOn)
	if !ok || !whole {
		t.Fatalf("not one line drawn in place: %q", written)
	}
	return text
}

// The bar is drawn in place, with what is known of it, and cleared at the end.
func TestProgressOnATerminal(t *testing.T) {
	t.Parallel()
	d := newDrawn(true, 80)
	if got := d.after(100*time.Millisecond, 0, 1000, "events asked"); got != "" {
		t.Errorf("short work shows %q", got)
	}
	if got := line(t, d.after(900*time.Millisecond, 100, 1000, "events asked")); got != strings.Repeat("█", 1)+strings.Repeat("░", 18)+"  10%  100 of 1000  1s  events asked" {
		t.Errorf("after a second: %q", got)
	}
	if got := d.after(50*time.Millisecond, 110, 1000, "events asked"); got != "" {
		t.Errorf("drawn twice in a tenth of a second: %q", got)
	}
	if got := line(t, d.after(950*time.Millisecond, 300, 1000, "events asked")); !strings.Contains(got, "  30%  300 of 1000  158/s  4s left  events asked") {
		t.Errorf("after two seconds: %q", got)
	}
	for range 20 {
		d.after(time.Second, 300, 1000, "events asked")
	}
	if got := line(t, d.after(time.Second, 300, 1000, "waits for crm")); strings.Contains(got, "left") || !strings.HasSuffix(got, "  30%  300 of 1000  23s  waits for crm") {
		t.Errorf("without progress: %q", got)
	}
	if got := line(t, d.after(time.Second, 1000, 1000, "events asked")); !strings.HasPrefix(got, strings.Repeat("█", 19)+" 100%  1000 of 1000  ") {
		t.Errorf("all done: %q", got)
	}
	d.out.Reset()
	d.end()
	d.end()
	if got := d.out.String(); got != clearLine {
		t.Errorf("the end writes %q", got)
	}
	if got := d.after(time.Minute, 1, 2, "late"); got != "" {
		t.Errorf("after the end: %q", got)
	}
}

// A total that is not known has neither bar nor percent; what comes from elsewhere cannot steer the terminal.
func TestProgressWithoutATotal(t *testing.T) {
	t.Parallel()
	d := newDrawn(true, 80)
	d.after(0, 0, 0, "counting")
	if got := line(t, d.after(time.Second, 0, 0, "counting")); got != "1s  counting" {
		t.Errorf("%q", got)
	}
	if got := line(t, d.after(99*time.Second, 25, 0, "found\r\x1b[2J\nmore")); got != `25  15.0/min  1m40s  found \x1b[2J more` {
		t.Errorf("%q", got)
	}
	if got := line(t, d.after(2*time.Hour, 5, 0, "next")); got != "5  2h01m  next" {
		t.Errorf("other work: %q", got)
	}
}

// The line is one column shorter than the terminal, whatever its size; a terminal that does not say its size has 80.
func TestProgressFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, unicode := range []bool{true, false} {
		for columns := range 200 {
			d := newDrawn(true, columns)
			d.unicode = unicode
			d.after(0, 0, 5000, "")
			got := line(t, d.after(10*time.Second, 2500, 5000, strings.Repeat("ä long word ", 30)))
			want := columns - 1
			if columns == 0 {
				want = 79
			}
			if n := utf8.RuneCountInString(got); n > max(want, 3) {
				t.Errorf("%d columns: %d characters: %q", columns, n, got)
			}
			if strings.IndexFunc(got, func(r rune) bool { return r > '~' }) >= 0 != unicode && columns > 5 {
				t.Errorf("%d columns, UTF-8 %v: %q", columns, unicode, got)
			}
		}
	}
}

// Colours do not change the width, and are there only if they are wanted.
func TestProgressColors(t *testing.T) {
	t.Parallel()
	d := newDrawn(true, 60)
	d.unicode, d.color = false, true
	d.after(0, 0, 10, "")
	colored := line(t, d.after(2*time.Second, 5, 10, ""))
	if want := "[" + green + "######" + plain + dim + "------" + plain + "]  50%  5 of 10  2.5/s  2s left"; colored != want {
		t.Errorf("%q\nwant %q", colored, want)
	}
	d.color = false
	if got := line(t, d.after(time.Second, 5, 10, "")); strings.Contains(got, "\x1b") {
		t.Errorf("%q", got)
	}
}

// Elsewhere than on a terminal there are plain lines, which become fewer.
func TestProgressInLines(t *testing.T) {
	t.Parallel()
	d := newDrawn(false, 0)
	lines := 0
	for second := range 3600 {
		got := d.after(time.Second, second*10, 36000, "running\x1b")
		if got == "" {
			continue
		}
		lines++
		if lines == 1 && got != "0%, 90 of 36000, 10/s, 59m51s left, running\x1b\n" {
			t.Errorf("after %d s: %q", second, got)
		}
		if strings.Contains(got, clearLine) || strings.Count(got, "\n") != 1 {
			t.Errorf("not a plain line: %q", got)
		}
	}
	if lines < 10 || lines > 20 {
		t.Errorf("%d lines in an hour", lines)
	}
	d.out.Reset()
	d.end()
	if d.out.Len() > 0 {
		t.Errorf("the end writes %q", d.out.String())
	}
}

// Where nothing is to be shown, nothing is written.
func TestProgressOfNothing(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	p := (&globals{out: visible{&out}, err: visible{&errs}}).progress(false)
	p.show(1, 2, "x")
	p.end()
	if out.Len()+errs.Len() > 0 {
		t.Errorf("%q, %q", out.String(), errs.String())
	}
}

// The locale says whether the terminal can show more than ASCII.
func TestIsUTF8(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		all, ctype, lang string
		want             bool
	}{
		{"", "", "", false},
		{"", "", "C", false},
		{"", "", "de_DE.UTF-8", true},
		{"", "", "C.utf8", true},
		{"", "POSIX", "de_DE.UTF-8", false},
		{"tr_TR.utf-8", "POSIX", "C", true},
		{"C", "", "de_DE.UTF-8", false},
	} {
		env := map[string]string{"LC_ALL": c.all, "LC_CTYPE": c.ctype, "LANG": c.lang}
		if got := isUTF8(func(name string) string { return env[name] }); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
