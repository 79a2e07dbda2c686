package chart

import (
	"flag"
	"html/template"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew; look at what changed in a browser")

var nan = math.NaN()

// noon is when most charts of the tests begin.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// wave returns n whole numbers that rise and fall between low and high.
func wave(n int, low, high, phase float64) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = math.Round(low + (high-low)*(0.5+0.5*math.Sin(phase+float64(i)*0.43)))
	}
	return values
}

// with returns the values with some replaced.
func with(values []float64, changes map[int]float64) []float64 {
	values = slices.Clone(values)
	for i, v := range changes {
		values[i] = v
	}
	return values
}

func hours(n int) Steps { return Steps{First: noon, Length: time.Hour, N: n} }

// attempts are the series of a destination's attempts over n steps.
func attempts(n int) []Series {
	return []Series{
		{Name: "delivered", Class: "delivered", Values: wave(n, 40, 900, 0)},
		{Name: "retry", Class: "retry", Values: wave(n, 0, 60, 1)},
		{Name: "rejected", Class: "rejected", Values: wave(n, 0, 25, 2)},
		{Name: "revoked", Class: "revoked", Values: wave(n, 0, 12, 3)},
		{Name: "timeouts", Class: "timeouts", Values: wave(n, 0, 40, 4)},
	}
}

// percentiles are the series of response times over n steps.
func percentiles(n int) []Series {
	return []Series{
		{Name: "p50", Values: wave(n, 40, 90, 0)},
		{Name: "p95", Values: wave(n, 180, 420, 1)},
		{Name: "p99", Values: wave(n, 500, 2134, 2)},
	}
}

// goldens are figures by the name of their file.
var goldens = map[string]func() template.HTML{
	"stacked": func() template.HTML {
		all := attempts(24)
		all[0].Figure, all[1].Figure = "11,204", "720"
		return (&Chart{Title: "Attempts by verdict", Description: "Each attempt counts once, by its last verdict.", Steps: hours(24), Series: all}).Stacked()
	},
	"stacked-one-among-many": func() template.HTML {
		return (&Chart{Title: "Attempts", Steps: hours(6), Series: []Series{
			{Name: "delivered", Class: "delivered", Values: []float64{10000, 12000, 9000, 0, 11000, 10000}},
			{Name: "rejected", Class: "rejected", Values: []float64{0, 1, 0, 1, nan, -3}},
		}}).Stacked()
	},
	"stacked-merged": func() template.HTML {
		return (&Chart{
			Title: "Attempts by verdict", Steps: Steps{First: noon.Add(3 * time.Minute), Length: time.Minute, N: 1440}, Series: attempts(1440)[:2],
		}).Stacked()
	},
	"stacked-zero": func() template.HTML {
		return (&Chart{Title: "Attempts", Steps: hours(24), Series: []Series{{Name: "delivered", Values: make([]float64, 24)}}}).Stacked()
	},
	"stacked-one-point": func() template.HTML {
		return (&Chart{Title: "Responses a day", Steps: Steps{First: noon.Add(-12 * time.Hour), Length: day, N: 1}, Series: []Series{
			{Name: "responses", Values: []float64{412}},
		}}).Stacked()
	},
	"lines": func() template.HTML {
		return (&Chart{
			Title: "Response time", Description: "Of attempts with an answer; steps with fewer than 20 are left out.", Unit: Milliseconds,
			Steps: hours(24), Series: percentiles(24), Absent: "few",
		}).Lines()
	},
	"lines-gaps": func() template.HTML {
		return (&Chart{Title: "p95", Unit: Milliseconds, Steps: hours(24), Series: []Series{
			{Name: "p95", Values: with(wave(24, 100, 90e3, 0), map[int]float64{3: nan, 4: nan, 8: nan, 10: nan, 23: nan})},
		}, Absent: "few"}).Lines()
	},
	"lines-success": func() template.HTML {
		values := slices.Repeat([]float64{1}, 30)
		values = with(values, map[int]float64{4: 0.9967, 5: 0.951, 6: 0.9912, 20: nan, 27: 0.9999})
		return (&Chart{
			Title: "Success rate", Unit: Percent, Steps: Steps{First: noon.Add(-12 * time.Hour), Length: day, N: 30},
			Series: []Series{{Name: "success", Class: "delivered", Values: values}},
		}).Lines()
	},
	"lines-nps": func() template.HTML {
		return (&Chart{Title: "NPS by week", Unit: Number, Steps: Steps{First: noon.Add(-5*day - 12*time.Hour), Length: 7 * day, N: 52}, Series: []Series{
			{Name: "onboarding", Figure: "31", Values: wave(52, -20, 44, 0)}, {Name: "checkout", Figure: "−4", Values: wave(52, -60, 10, 2)},
		}}).Lines()
	},
	"lines-huge": func() template.HTML {
		return (&Chart{Title: "Waiting", Steps: hours(3), Series: []Series{{Name: "waiting", Values: []float64{1, math.MaxFloat64, math.Inf(1)}}}}).Lines()
	},
	"none": func() template.HTML {
		return (&Chart{Title: "Attempts", Description: "Of the last 24 hours.", Steps: hours(3), Series: []Series{
			{Name: "delivered", Values: []float64{nan, math.Inf(1), nan}}, {Name: "retry"},
		}}).Stacked()
	},
	"spark-bars": func() template.HTML {
		return (&Spark{Title: "warehouse, attempts an hour, last 24 hours", Values: with(wave(24, 0, 1204, 0), map[int]float64{2: nan, 9: 0, 10: 1})}).Bars()
	},
	"spark-bars-60": func() template.HTML {
		return (&Spark{Title: "events", Class: "bad", Values: wave(60, 3, 977, 0)}).Bars()
	},
	"spark-rate": func() template.HTML {
		return (&Spark{Title: "success", Unit: Percent, Low: 0.9, Values: with(slices.Repeat([]float64{1}, 24), map[int]float64{4: 0.92, 5: 0.5, 9: 0.998})}).Bars()
	},
	"spark-line": func() template.HTML {
		return (&Spark{Title: "p95", Unit: Milliseconds, Values: with(wave(48, 80, 2100, 0), map[int]float64{7: nan, 20: nan, 22: nan})}).Line()
	},
	"spark-zero": func() template.HTML { return (&Spark{Title: "dead", Values: make([]float64, 24)}).Bars() },
	"spark-none": func() template.HTML { return (&Spark{Title: "NPS", Unit: Number}).Line() },
	"spark-one":  func() template.HTML { return (&Spark{Title: "events", Values: []float64{7}}).Line() },
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for name, draw := range goldens {
		file := filepath.Join("testdata", name+".html")
		got := readable(draw())
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", file, diff)
		}
	}
	files, err := filepath.Glob("testdata/*.html")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != len(goldens) {
		t.Errorf("%d golden files, and %d figures", len(files), len(goldens))
	}
}

// readable puts elements on lines of their own, so that a difference is a line.
func readable(figure template.HTML) string {
	return strings.ReplaceAll(string(figure), "><", ">\n<") + "\n"
}
