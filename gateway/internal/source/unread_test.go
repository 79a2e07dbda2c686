package source

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEveryFieldIsMapped: of every published payload each field becomes something of the event, or the profile says
// why it does not; and what it says is true of at least one payload.
func TestEveryFieldIsMapped(t *testing.T) {
	t.Parallel()
	// Said of fields that the platforms' pages name and no published payload holds.
	unseen := map[string][]string{
		"pollarix":    {"data.status", "data.previousStatus", "data.couponCode", "data.coupon"},
		"kobotoolbox": {"phonenumber"},
	}
	for _, platform := range Builtin().Names() {
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			p := profile(t, platform)
			s := open(t, p, Settings{})
			var used []string
			names := published(t, platform)
			if len(names) == 0 {
				t.Fatal("no payload")
			}
			for _, name := range names {
				unread, _, err := s.Unread(requestOf(t, name), noon, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range unread {
					if u.Why == "" {
						t.Errorf("%s: nothing becomes of `%s`, and the profile does not say why", name, u.Path)
					}
					for said := range p.Unmapped {
						if u.Path == said || strings.HasPrefix(u.Path, said+".") {
							used = append(used, said)
						}
					}
				}
			}
			for said := range p.Unmapped {
				if !slices.Contains(used, said) && !slices.Contains(unseen[platform], said) {
					t.Errorf("unmapped says `%s`, which no payload holds or which is read", said)
				}
			}
		})
	}
}

func TestUnread(t *testing.T) {
	t.Parallel()
	s := inline(t, `
source: x
verify: [{kind: none}]
type: {path: event, map: {done: response.completed}}
dedupe: "{webhook}:{id}"
map: {response.id: [id, other], response.completed: finished}
params: [person]
answers: [{from: list, each: {question_id: q, value: v}}]
unmapped: {meta: of the delivery}
`)
	body := `{"event":"done","webhook":"w","id":1,"other":2,"finished":true,"person":{"a":1},"list":[{"q":1,"v":2,"n":3},{"q":2,"v":null,"n":4}],` +
		`"meta":{"at":{"b":1},"c":[1]},"meta2":1,"a.b":{"#":null},"nothing":{},"none":[]}`
	got, complete, err := s.Unread(request([]byte(body)), noon, nil)
	if !complete {
		t.Error("it stopped by itself")
	}
	if err != nil {
		t.Fatal(err)
	}
	want := []Unread{
		{"other", alternative}, {"list.#.n", ""}, {"meta.at.b", "of the delivery"}, {"meta.c.#", "of the delivery"}, {"meta2", ""}, {`a\.b.\#`, absent}, {"nothing", absent}, {"none", absent},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, _, err := s.Unread(request([]byte("{")), noon, nil); err == nil {
		t.Error("no JSON, no fault")
	}
	if got, _, err := s.Unread(request([]byte("[1]")), noon, nil); err != nil || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	split := open(t, profile(t, "smartsurvey"), Settings{})
	if got, _, err := split.Unread(request([]byte(`[{"id":1,"x":1},5,{"id":2,"x":1,"y":1}]`)), noon, nil); err != nil || len(got) != 2 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestUnreadStops: the search ends before the next place when it is told to, and says so.
func TestUnreadStops(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "smartsurvey"), Settings{})
	asked := 0
	got, complete, err := s.Unread(request([]byte(`[{"id":1,"x":1,"y":1},{"id":2,"z":1}]`)), noon, func() bool { asked++; return asked > 2 })
	if err != nil || complete || asked != 3 {
		t.Errorf("asked %d times, complete %t, %v, %v", asked, complete, got, err)
	}
}
