package deliver

import "testing"

// Every change of every progress leads where this table says, and nothing else is allowed.
func TestProgress(t *testing.T) {
	t.Parallel()
	names := map[progress]string{queued: "queued", running: "running", leased: "leased", released: "released", done: "done"}
	changed := map[change]string{toBegin: "begin", toEnd: "end", toLease: "lease", toRelease: "release"}
	want := map[string]string{
		"queued begin": "running", "queued end": "done", "queued lease": "leased", "queued release": "released",
		"running begin": "running", "running end": "done", "running lease": "leased", "running release": "",
		"leased begin": "leased", "leased end": "done", "leased lease": "", "leased release": "",
		"released begin": "", "released end": "", "released lease": "", "released release": "",
		"done begin": "", "done end": "", "done lease": "", "done release": "",
	}
	seen := 0
	for from := refused + 1; from < progresses; from++ {
		for c := range changes {
			row := names[from] + " " + changed[c]
			to, ok := want[row]
			if !ok {
				t.Fatalf("no row for %d, %d: %q", from, c, row)
			}
			seen++
			j := &job{progress: from}
			moved := j.move(c)
			if moved != (to != "") || moved && names[j.progress] != to || !moved && j.progress != from {
				t.Errorf("%s: moved %t, to %s; want %q", row, moved, names[j.progress], to)
			}
		}
	}
	if seen != len(want) {
		t.Errorf("%d rows, %d of them are possible", len(want), seen)
	}
	j := &job{}
	for c := range changes {
		if j.move(c) {
			t.Errorf("a job that was never queued or leased allows %q", changed[c])
		}
	}
}

// What the store is to have of a delivery when its event is committed, and where its end goes afterwards.
func TestEndsOfADelivery(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		changes []change
		leased  bool   // in the event's outcome
		reason  string // there
		late    bool   // what ends after the commit has begun is committed by itself
	}{
		"handed over before its attempt": {[]change{toRelease}, false, reasonHandedOver, false},
		"handed over in its attempt":     {[]change{toBegin, toLease}, true, reasonInFlight, true},
		"handed over in its batch":       {[]change{toLease}, true, reasonBatch, true},
		"ended":                          {[]change{toBegin, toEnd}, false, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := prepare(t, destinations(destination("crm")), nil)
			b.make()
			l, now := b.loop, b.clock.Now()
			b.accept(1)
			claimed, err := b.store.Claim(t.Context(), 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			claim := l.decide(b.plan.Load(), claimed[0], now)
			claim.phase = phaseOpen
			j := claim.jobs[0]
			for _, change := range c.changes {
				if change == toBegin {
					j.deadline = now
				}
				if !j.move(change) {
					t.Fatal("refused")
				}
			}
			claim.phase = phaseClosed
			got := claim.seal().Deliveries[0]
			if got.Leased != c.leased || got.Reason != c.reason {
				t.Errorf("committed as %+v", got)
			}
			l.settle(j, got, "")
			if _, settled, _ := l.commits.take(); (len(settled) == 1) != c.late {
				t.Errorf("%d committed afterwards", len(settled))
			}
		})
	}
}
