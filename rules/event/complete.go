package event

import (
	"bytes"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Complete normalises data. It trims texts, splits or joins names, removes scores that are out of range, converts times to RFC
// 3339 UTC, and removes empty values. It adds a warning for each value that it removes, except empty ones. Times without a zone
// are in zone (nil means UTC). Complete is idempotent.
func (d *Data) Complete(zone *time.Location) {
	for i := range leaves {
		l := &leaves[i]
		switch {
		case l.time:
			d.completeTime(l, zone)
		case l.text != nil:
			if p := l.text(d); mayTrim(*p) {
				*p = strings.TrimSpace(*p)
			}
		case l.number != nil:
			d.completeNumber(l)
		case l.object != nil:
			if p := l.object(d); emptyJSON(*p) {
				*p = nil
			}
		}
	}
	d.Respondent.completeName()
	d.completeAnswers()
	kept := d.Response.Leads[:0:0]
	for i, lead := range d.Response.Leads {
		if emptyJSON(lead) && kept == nil {
			kept = append(kept, d.Response.Leads[:i]...)
			continue
		}
		if kept != nil && !emptyJSON(lead) {
			kept = append(kept, lead)
		}
	}
	if kept != nil {
		d.Response.Leads = kept
	}
}

// mayTrim reports whether text may have white space at an end. This check is cheaper than trimming, and most text has none.
func mayTrim(s string) bool {
	return s != "" && (s[0]-'!' >= 0x7f-'!' || s[len(s)-1]-'!' >= 0x7f-'!')
}

func (d *Data) completeTime(l *node, zone *time.Location) {
	p := l.text(d)
	if *p == "" || canonicalTime(*p) {
		return
	}
	if t, ok := ParseTime(*p, zone); ok {
		*p = t.Format(time.RFC3339Nano)
		return
	}
	d.Warn(l.Path + " left out: no time that can be read")
	*p = ""
}

func (d *Data) completeNumber(l *node) {
	p := l.number(d)
	if *p == nil {
		return
	}
	switch n := **p; {
	case math.IsNaN(n) || math.IsInf(n, 0):
		d.Warn(l.Path + " left out: no number")
		*p = nil
	case l.Path == pathNPS && (n < 0 || n > 10):
		d.Warn(l.Path + " left out: not between 0 and 10")
		*p = nil
	case l.Path == pathDuration && n < 0:
		d.Warn(l.Path + " left out: below 0")
		*p = nil
	}
}

const (
	pathNPS      = "response.score.nps"
	pathDuration = "response.duration_s"
)

// completeAnswers removes empty answers, and adds their questions to Cleared. An answer with only a comment is kept, with an empty
// text as its value.
func (d *Data) completeAnswers() {
	all := d.Response.Answers
	d.Response.Cleared = slices.Clip(d.Response.Cleared)
	var kept []Answer // nil until something changes: the caller's slice must not be modified
	for i := range all {
		a := &all[i]
		empty := emptyJSON(a.Value)
		switch {
		case !empty && kept == nil:
			continue
		case kept == nil:
			kept = append(make([]Answer, 0, len(all)), all[:i]...)
		}
		switch {
		case !empty:
			kept = append(kept, *a)
		case a.Comment != "":
			with := *a
			with.Value = []byte(`""`)
			kept = append(kept, with)
		default:
			d.Response.clear(a.QuestionID)
		}
	}
	if kept != nil {
		d.Response.Answers = kept
	}
}

// clear adds a question or a field to Cleared.
func (r *Response) clear(name string) {
	if name != "" && len(r.Cleared) < MaxAnswers {
		r.Cleared = append(r.Cleared, name)
	}
}

// Clear notes that the answer which would fill a field was given as nothing.
func (d *Data) Clear(path string) {
	if !slices.Contains(d.Response.Cleared, path) {
		d.Response.clear(path)
	}
}

// emptyJSON reports whether raw is empty, null, "", [] or {}.
func emptyJSON(raw []byte) bool {
	if len(raw) > 2 && raw[0] > ' ' && raw[1] > ' ' && (raw[0] != 'n' || raw[1] != 'u') {
		return false
	}
	switch raw = bytes.TrimSpace(raw); string(raw) {
	case "", "null", `""`:
		return true
	}
	return len(raw) > 1 && (raw[0] == '[' || raw[0] == '{') && len(bytes.TrimSpace(raw[1:len(raw)-1])) == 0
}

// Warn appends a warning, unless it exists already.
func (d *Data) Warn(text string) {
	if slices.Contains(d.Warnings, text) {
		return
	}
	d.Warnings = append(slices.Clip(d.Warnings), text)
}

func (r *Respondent) completeName() {
	switch {
	case r.Name != "" && r.FirstName == "" && r.LastName == "":
		r.FirstName, r.LastName = SplitName(r.Name)
	case r.Name == "":
		r.Name = strings.TrimSpace(r.FirstName + " " + r.LastName)
	}
}

// SplitName returns the first word of a name, and all other words joined by single spaces. A name of one word has no last name.
func SplitName(name string) (first, last string) {
	words := strings.Fields(name)
	if len(words) == 0 {
		return "", ""
	}
	return words[0], strings.Join(words[1:], " ")
}

// NPSGroup returns detractor for a score from 0 to below 7, passive from 7 to below 9, promoter from 9 to 10, and "" for any
// other score.
func NPSGroup(score float64) string {
	switch {
	case score >= 0 && score < 7:
		return "detractor"
	case score >= 7 && score < 9:
		return "passive"
	case score >= 9 && score <= 10:
		return "promoter"
	}
	return ""
}

// canonicalTime reports whether Complete would not change the time.
func canonicalTime(s string) bool {
	if len(s) < len("2006-01-02T15:04:05Z") || s[len(s)-1] != 'Z' {
		return false
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return err == nil && inRange(t) && (len(s) == len("2006-01-02T15:04:05Z") || t.Format(time.RFC3339Nano) == s)
}

// inRange reports whether a time is in the years 1 to 9999: products refuse a record with any other.
func inRange(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

// layouts are the time formats that platforms send. Abbreviated zones other than UTC and GMT are not supported, because Go parses
// EST with an offset of 0.
var layouts = []struct {
	layout string
	zoned  bool
}{
	{time.RFC3339Nano, true},
	{"2006-01-02T15:04:05.999999999Z0700", true},
	{"2006-01-02T15:04Z07:00", true},
	{"2006-01-02 15:04:05.999999999Z07:00", true},
	{"2006-01-02 15:04:05.999999999 Z07:00", true},
	{"2006-01-02 15:04:05.999999999 Z0700", true},
	{"2006-01-02 15:04:05.999999999 UTC", false},
	{time.RFC1123Z, true},
	{"Mon, 02 Jan 2006 15:04:05 GMT", false},
	{"2006-01-02T15:04:05.999999999", false},
	{"2006-01-02 15:04:05.999999999", false},
	{"2006-01-02T15:04", false},
	{"2006-01-02 15:04", false},
	{"2006-01-02", false},
}

// ParseTime parses a time in one of the formats that platforms send: RFC 3339 and similar ones, or seconds or milliseconds since
// 1970. A time without a zone is in zone (nil means UTC). The result is in UTC. Seconds with a fraction are rounded to
// milliseconds.
func ParseTime(text string, zone *time.Location) (time.Time, bool) {
	text = strings.TrimSpace(text)
	if zone == nil {
		zone = time.UTC
	}
	if t, ok := parseEpoch(text); ok {
		return t, true
	}
	for _, l := range layouts {
		in := zone
		if strings.HasSuffix(l.layout, "UTC") || strings.HasSuffix(l.layout, "GMT") || l.zoned {
			in = time.UTC
		}
		if t, err := time.ParseInLocation(l.layout, text, in); err == nil {
			t = t.UTC()
			return t, inRange(t)
		}
	}
	return time.Time{}, false
}

// parseEpoch parses seconds (9 or 10 digits, with an optional fraction) or milliseconds (12 or 13 digits).
func parseEpoch(text string) (time.Time, bool) {
	whole, _, fraction := strings.Cut(text, ".")
	if len(whole) < 9 || len(whole) > 13 || strings.Trim(whole, "0123456789") != "" {
		return time.Time{}, false
	}
	switch {
	case len(whole) <= 10:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || strings.ContainsAny(text, "eExX_") {
			return time.Time{}, false
		}
		return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), true
	case len(whole) >= 12 && !fraction:
		ms, err := strconv.ParseInt(whole, 10, 64)
		return time.UnixMilli(ms).UTC(), err == nil
	}
	return time.Time{}, false
}
