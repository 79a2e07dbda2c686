package config

import (
	"testing"
	"time"
)

// Quiet hours end at the first moment that is in none, also where the clock of the zone jumps.
func TestQuietOverClockChange(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, now, want string }{
		{"the end is skipped in spring", "2026-03-29T00:45:00Z", "2026-03-29T01:00:00Z"},
		{"the evening before", "2026-03-28T22:00:00Z", "2026-03-29T01:00:00Z"},
		{"the end comes twice in autumn, before the first", "2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"},
		{"and before the second", "2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"},
		{"an ordinary night", "2026-06-01T22:10:00Z", "2026-06-02T00:30:00Z"},
	} {
		now, _ := time.Parse(time.RFC3339, c.now)
		want, _ := time.Parse(time.RFC3339, c.want)
		q := Quiet{From: 22 * 60, To: 2*60 + 30, Zone: berlin}
		if end := q.End(now); !end.Equal(want) {
			t.Errorf("%s: %s, want %s", c.name, end.UTC(), want)
		}
	}
	for _, name := range []string{"Europe/Berlin", "America/New_York", "America/Santiago", "Australia/Lord_Howe", "Asia/Beirut", "Africa/Casablanca"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, minutes := range [][2]int{{22 * 60, 150}, {22 * 60, 90}, {150, 170}, {60, 121}, {22 * 60, 24 * 60 % 1440}, {22 * 60, 15}, {23 * 60, 23*60 + 30}} {
			q := Quiet{From: minutes[0], To: minutes[1], Zone: zone}
			longest := time.Duration((minutes[1]-minutes[0]+24*60)%(24*60)+61) * time.Minute
			for at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); at.Year() < 2027; at = at.Add(7 * time.Minute) {
				if end := q.End(at); !end.IsZero() && (!end.After(at) || end.Sub(at) > longest || !q.End(end).IsZero()) {
					t.Fatalf("%s at %s: %s", q.String(), at, end)
				}
			}
		}
	}
}
