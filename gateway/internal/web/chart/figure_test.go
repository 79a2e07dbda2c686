package chart

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// element is one of a figure, with the text in it.
type element struct {
	name  string
	attrs map[string]string
	text  string
}

// parse reads a figure as XML, and fails the test if it is none, or has an element or an attribute that this package does not use.
func parse(t testing.TB, figure template.HTML) []*element {
	t.Helper()
	attributes := strings.Fields(`aria-hidden aria-label class d fill fill-opacity font-size height overflow pointer-events preserveAspectRatio
		role scope stroke stroke-dasharray stroke-linecap stroke-linejoin stroke-opacity stroke-width tabindex text-anchor vector-effect viewBox width x y`)
	names := strings.Fields("b caption details div figcaption figure g li p path rect span summary svg table tbody td text th thead title tr ul")
	var all, open []*element
	decoder := xml.NewDecoder(strings.NewReader(string(figure)))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			at := decoder.InputOffset()
			t.Fatalf("not XML: %v after %s", err, figure[max(at-200, 0):at])
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attrs: map[string]string{}}
			if !slices.Contains(names, e.name) {
				t.Fatalf("element %q", e.name)
			}
			for _, attr := range token.Attr {
				if !slices.Contains(attributes, attr.Name.Local) || attr.Name.Space != "" {
					t.Fatalf("attribute %v of %s", attr.Name, e.name)
				}
				e.attrs[attr.Name.Local] = attr.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			if len(open) > 0 {
				open[len(open)-1].text += string(token)
			}
		default:
			t.Fatalf("a %T is in it", token)
		}
	}
}

// pathOf returns the path of an element with a class.
func pathOf(t *testing.T, figure template.HTML, class string) string {
	t.Helper()
	var found []string
	for _, e := range parse(t, figure) {
		if e.name == "path" && e.attrs["stroke"] == "" && e.attrs["class"] == class {
			found = append(found, e.attrs["d"])
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d paths of class %q in\n%s", len(found), class, figure)
	}
	return found[0]
}

// cells are the texts of the table's cells by row, with the heads.
func cells(t *testing.T, figure template.HTML) [][]string {
	t.Helper()
	var rows [][]string
	for _, e := range parse(t, figure) {
		switch e.name {
		case "tr":
			rows = append(rows, nil)
		case "th", "td":
			rows[len(rows)-1] = append(rows[len(rows)-1], e.text)
		}
	}
	return rows
}

// The table has what the drawing has, and says what is absent.
func TestTable(t *testing.T) {
	t.Parallel()
	c := &Chart{Title: "Response time", Unit: Milliseconds, Steps: hours(3), Absent: "few", Series: []Series{
		{Name: "p50", Values: []float64{41, nan, 1500}}, {Name: "p99", Values: []float64{2134, math.Inf(-1)}},
	}}
	want := [][]string{
		{"from, UTC", "p50", "p99"},
		{"2026-11-28 12:00", "41 ms", "2.134 s"},
		{"2026-11-28 13:00", "few", "few"},
		{"2026-11-28 14:00", "1.5 s", "few"},
	}
	for _, figure := range []template.HTML{c.Lines(), c.Stacked()} {
		if diff := cmp.Diff(want, cells(t, figure)); diff != "" {
			t.Error(diff)
		}
		for _, e := range parse(t, figure) {
			if e.name == "th" && e.attrs["scope"] == "" || e.name == "caption" && e.text != c.Title {
				t.Errorf("%+v", e)
			}
		}
	}
}

// A value that is absent is a gap, and not zero. One that stands alone is seen.
func TestGaps(t *testing.T) {
	t.Parallel()
	c := &Chart{Steps: hours(7), Series: []Series{{Values: []float64{4, 2, nan, 3, nan, 0, 4}}, {Values: []float64{nan, nan, 4}}}}
	figure := c.Lines()
	if got, want := pathOf(t, figure, "s1"), "M5 0L15 80M33 40h4M55 160L65 0"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := pathOf(t, figure, "s2"), "M23 0h4"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s := &Spark{Values: []float64{nan, 1, nan, 0}}
	if figure := string(s.Bars()); !strings.Contains(figure, `d="M1-27V0"`) || !strings.Contains(figure, `d="M3-1V0"`) {
		t.Error(figure)
	}
}

// Bars stand on each other, and a part that is there is seen, however small.
func TestStacked(t *testing.T) {
	t.Parallel()
	c := &Chart{Steps: hours(3), Series: []Series{
		{Class: "delivered", Values: []float64{5000, 0, nan}}, {Class: "retry", Values: []float64{2500, 1, -7}}, {Values: []float64{1, 1, 0}}, {Values: []float64{499, 0, 0}},
	}}
	figure := c.Stacked()
	for class, want := range map[string]string{
		"s1 delivered": "M5 160V60", "s2 retry": "M5 60V10M15 160V159", "s3": "M5 10V9M15 159V158", "s4": "M5 9V0",
	} {
		if got := pathOf(t, figure, class); got != want {
			t.Errorf("%s: %s, want %s", class, got, want)
		}
	}
}

// Few enough points are drawn of any number of steps; counts keep their sum, levels their extremes, and the figure says how.
func TestMerged(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour, day, 7 * time.Second, 5 * day} {
		for _, n := range []int{1, 2, 24, 199, 200, 201, 400, 1440, 1500, 5000} {
			for _, limit := range []int{0, 1, 60, 1000} {
				values := wave(n, 1, 50, 0)
				before := slices.Clone(values)
				sum, highest, lowest := 0.0, slices.Max(values), slices.Min(values)
				for _, v := range values {
					sum += v
				}
				for merge, want := range map[Merge]float64{Sum: sum, Max: highest, Min: lowest} {
					c := &Chart{
						Steps: Steps{First: noon.Add(7 * length), Length: length, N: n}, Series: []Series{{Values: values}}, Merge: merge, Points: limit,
					}
					p := c.prepare()
					most := MaxPoints
					if limit > 0 {
						most = min(limit, MaxPoints)
					}
					if len(p.values[0]) != p.steps.N || p.steps.N > most {
						t.Fatalf("%d × %s: %d points, %d values", n, length, p.steps.N, len(p.values[0]))
					}
					got := nan
					for _, v := range p.values[0] {
						got = merge.of(got, v)
					}
					if got != want {
						t.Errorf("%d × %s to %d: %s %v, want %v", n, length, p.steps.N, merge, got, want)
					}
					if end, was := p.steps.at(p.steps.N), c.Steps.at(n); p.steps.First.After(c.Steps.First) || end.Before(was) {
						t.Errorf("%d × %s: merged to %s … %s of %s … %s", n, length, p.steps.First, end, c.Steps.First, was)
					}
					if says := strings.Contains(p.about(), merge.String()); says != (p.steps.N < n) {
						t.Errorf("%d points of %d steps, and it says %q", p.steps.N, n, p.about())
					}
				}
				if !slices.Equal(before, values) {
					t.Fatal("the caller's values were changed")
				}
			}
		}
	}
	c := &Chart{Steps: Steps{First: noon.Add(13 * time.Minute), Length: time.Minute, N: 1440}, Series: []Series{{Values: make([]float64, 1440)}}}
	p := c.prepare()
	if want := noon.Add(10 * time.Minute); p.steps.First != want || p.steps.Length != 10*time.Minute {
		t.Errorf("merged steps begin at %s, each %s", p.steps.First, p.steps.Length)
	}
	if got, want := p.about(), "One point is 10 min: the sum of each 1 min."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	spark := &Spark{Values: wave(1440, 0, 9, 0), Merge: Max}
	if merged := spark.merged(spark.Values); len(merged) > maxSparks || slices.Max(merged) != 9 {
		t.Errorf("a spark line of %d values: %v", len(merged), merged)
	}
}

// Pages have bounds; a chart of the most points must leave room for others.
func TestSize(t *testing.T) {
	t.Parallel()
	steps := Steps{First: noon, Length: 10 * time.Minute, N: 200}
	large := attempts(200)
	for i := range large {
		for at := range large[i].Values {
			large[i].Values[at] = large[i].Values[at]*1e3 + 1e5
		}
	}
	for name, bound := range map[string]struct {
		figure template.HTML
		most   int
	}{
		"stacked":    {(&Chart{Title: "Attempts by verdict", Steps: steps, Series: large}).Stacked(), 40 << 10},
		"lines":      {(&Chart{Title: "Response time", Unit: Milliseconds, Steps: steps, Series: percentiles(200)}).Lines(), 30 << 10},
		"four of 24": {(&Chart{Title: "Attempts by verdict", Steps: hours(24), Series: attempts(24)}).Stacked(), 12 << 10},
		"bars":       {(&Spark{Title: "events", Values: wave(60, 0, 1e6, 0)}).Bars(), 2 << 10},
		"line":       {(&Spark{Title: "events", Values: wave(60, 0, 1e6, 0)}).Line(), 2 << 10},
	} {
		if n := len(bound.figure); n > bound.most {
			t.Errorf("%s: %d bytes, more than %d", name, n, bound.most)
		} else {
			t.Logf("%s: %d bytes", name, n)
		}
	}
}

// The names of classes are the style sheet's. Anything else would end the attribute or hide the figure.
func TestClasses(t *testing.T) {
	t.Parallel()
	for class, want := range map[string]string{
		"": "s1", "delivered": "s1 delivered", "a b-c_1": "s1 a b-c_1", `x" onload="y`: "s1", "1": "s1", " a": "s1", "é": "s1", "a\n": "s1",
	} {
		c := &Chart{Steps: hours(2), Series: []Series{{Class: class, Values: []float64{1, 2}}}}
		pathOf(t, c.Lines(), want)
	}
	c := &Chart{Steps: hours(1), Series: slices.Repeat([]Series{{Name: "x", Values: []float64{1}}}, 8)}
	var got []string
	for _, e := range parse(t, c.Stacked()) {
		if e.name == "path" && e.attrs["stroke"] == "" && len(e.attrs["class"]) == 2 {
			got = append(got, e.attrs["class"])
		}
	}
	if want := strings.Fields("s1 s2 s3 s4 s5 s6 s6 s6"); !slices.Equal(got, want) {
		t.Errorf("classes %v, want %v", got, want)
	}
}

// hostile are texts that would be more than text if they were not escaped.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `</title></svg></figure><h1>`, `<!--`, `]]>`, `<![CDATA[`,
	`<?xml version="1.0"?>`, `&lt;b&gt;`, `&#x3c;`, `&notanentity;`, "\x00\x08\x0b\x1b[31m", "\xff\xfe\xc3(", "\ufffe\uffff", "\u202eRTL", "{{.}}", `javascript:alert(1)`,
	"\xed\xa0\x80", "a\u2028b", "\x7f\u0085", "]]&gt;<",
}

func TestHostileText(t *testing.T) {
	t.Parallel()
	for _, text := range hostile {
		holdsText(t, text, text, text, []float64{1, nan, 3})
	}
}

// holdsText draws everything with texts of others, and compares it with the same of harmless texts.
func holdsText(t testing.TB, title, name, class string, values []float64) {
	t.Helper()
	figures := func(title, about, name, class string) []template.HTML {
		c := &Chart{
			Title: title, Description: about, Unit: Unit(len(values) % 4), Steps: Steps{First: noon, Length: time.Hour}, Absent: name,
			Series: []Series{{Name: name, Class: class, Figure: about, Values: values}, {Name: name, Values: values}},
		}
		s := &Spark{Title: title, Class: class, Values: values}
		return []template.HTML{c.Lines(), c.Stacked(), s.Bars(), s.Line()}
	}
	plain := func(s string) string {
		if s == "" {
			return ""
		}
		return "x"
	}
	harmless := figures(plain(title), plain(name), plain(name), "")
	for i, figure := range figures(title, name, name, class) {
		got, want := parse(t, figure), parse(t, harmless[i])
		shape := func(all []*element) []string {
			var names []string
			for _, e := range all {
				names = append(names, fmt.Sprint(e.name, len(e.attrs)))
			}
			return names
		}
		if diff := cmp.Diff(shape(want), shape(got)); diff != "" {
			t.Fatalf("%q and %q changed the figure:\n%s", title, name, diff)
		}
		if !utf8.ValidString(string(figure)) {
			t.Fatalf("not UTF-8: %q", figure)
		}
		for j, e := range got {
			for _, attr := range []string{"d", "x", "y", "width", "height", "viewBox", "stroke-width"} {
				if e.attrs[attr] != want[j].attrs[attr] {
					t.Fatalf("%q and %q changed %s of %s", title, name, attr, e.name)
				}
				if strings.ContainsAny(e.attrs[attr], "NIe") {
					t.Fatalf("%s of %s is %q", attr, e.name, e.attrs[attr])
				}
			}
		}
	}
}

// FuzzChart draws any texts and any values: what comes is XML of elements and attributes of this package, whose number no text changes.
func FuzzChart(f *testing.F) {
	for i, text := range hostile {
		f.Add(text, hostile[len(hostile)-1-i], text, []byte{1, 2, 3, 0, 255, 9, 8, 7, 255, 255, 255, 255, 0, 0, 0, 1}, int64(i), int64(time.Minute))
	}
	f.Add("", "", "", []byte{}, int64(0), int64(0))
	f.Fuzz(func(t *testing.T, title, name, class string, raw []byte, first, length int64) {
		raw = raw[:min(len(raw), 4000)]
		var values []float64
		for i := 0; i+2 <= len(raw); i += 2 { // the upper two bytes are sign, exponent and the first digits
			values = append(values, math.Float64frombits(uint64(raw[i])<<56|uint64(raw[i+1])<<48))
		}
		holdsText(t, title, name, class, values)
		for unit := Count; unit <= Number; unit++ {
			c := &Chart{
				Title: title, Unit: unit, Steps: Steps{First: time.Unix(first%1e11, 0), Length: time.Duration(length)}, Merge: Merge(uint64(first) % 3),
				Series: []Series{{Name: name, Values: values}}, Points: int(length % 300),
			}
			for _, figure := range []template.HTML{c.Lines(), c.Stacked(), (&Spark{Unit: unit, Values: values, Low: float64(first)}).Bars()} {
				for _, e := range parse(t, figure) {
					for _, attr := range []string{"d", "x", "y", "width", "height", "viewBox", "stroke-width"} {
						if strings.ContainsAny(e.attrs[attr], "NIe") { // not a number, infinite, or too long
							t.Fatalf("%s of %s is %q", attr, e.name, e.attrs[attr])
						}
					}
				}
			}
		}
	})
}

func BenchmarkStacked(b *testing.B) {
	c := &Chart{Title: "Attempts by verdict", Steps: Steps{First: noon, Length: 10 * time.Minute, N: 144}, Series: attempts(144)}
	for b.Loop() {
		c.Stacked()
	}
}

func BenchmarkLines(b *testing.B) {
	c := &Chart{Title: "Response time", Unit: Milliseconds, Steps: hours(24), Series: percentiles(24)}
	for b.Loop() {
		c.Lines()
	}
}

// BenchmarkSparks draws those of a page of 50 destinations.
func BenchmarkSparks(b *testing.B) {
	s := &Spark{Title: "warehouse, attempts an hour, last 24 hours", Values: wave(24, 0, 1204, 0)}
	for b.Loop() {
		for range 50 {
			s.Bars()
		}
	}
}
