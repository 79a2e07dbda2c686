package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// doubled is a tree in which every member of an object stands twice, the second time with another value.
func doubled(t *tree, second func(*tree) *tree) *tree {
	c := *t
	c.members = nil
	for _, m := range t.members {
		c.members = append(c.members, member{m.key, doubled(m.value, second)})
		if t.kind == jsonpath.Object {
			c.members = append(c.members, member{m.key, second(m.value)})
		}
	}
	return &c
}

// said is all that an event says, but of the bytes that it was made of, and without warnings.
func said(t testing.TB, ev *event.Event) string {
	t.Helper()
	var data map[string]json.RawMessage
	if err := json.Unmarshal(ev.DataJSON(), &data); err != nil {
		t.Fatal(err)
	}
	delete(data, "raw")
	delete(data, "warnings")
	delete(data, "unread") // the second value of a key is among them where it does not fit
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s %s %s %s %s", ev.Type, ev.OrigType, ev.OrigID, timeText(ev.Time), text)
}

// TestDoubledKeys: of keys that stand twice the first counts for every reader, or the body is refused. Each published
// payload is sent with all of its keys doubled, at once and one by one.
func TestDoubledKeys(t *testing.T) {
	t.Parallel()
	seconds := map[string]func(*tree) *tree{
		"a text":    func(*tree) *tree { return plant(jsonpath.Parse([]byte(`"second"`))) },
		"a number":  func(*tree) *tree { return plant(jsonpath.Parse([]byte(`424242`))) },
		"true":      func(*tree) *tree { return plant(jsonpath.Parse([]byte(`true`))) },
		"an object": func(*tree) *tree { return plant(jsonpath.Parse([]byte(`{"value":"second","id":"second"}`))) },
		"a list":    func(*tree) *tree { return plant(jsonpath.Parse([]byte(`["second"]`))) },
		"null":      func(*tree) *tree { return plant(jsonpath.Parse([]byte(`null`))) },
		"its like": func(v *tree) *tree {
			like := v.clone()
			like.each(func(leaf *tree) {
				switch leaf.kind {
				case jsonpath.String:
					leaf.scalar = `"second"`
				case jsonpath.Number:
					leaf.scalar = "424242"
				}
			})
			return like
		},
	}
	for _, platform := range Builtin().Names() {
		s := open(t, profile(t, platform), Settings{})
		for _, name := range published(t, platform) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var in content
				if err := s.decode(requestOf(t, name), &in); err != nil {
					t.Fatal(err)
				}
				whole := plant(in.doc.Root())
				events := func(body *tree) (all []string, err error) {
					made, err := s.Normalise(treeRequest(s, body), noon)
					for _, ev := range made {
						all = append(all, said(t, ev))
					}
					return all, err
				}
				want, err := events(whole)
				if err != nil {
					t.Fatal(err)
				}
				same := func(what string, body *tree) {
					t.Helper()
					got, err := events(body)
					if errors.Is(err, ErrTooManyAnswers) || errors.Is(err, ErrTooManyEvents) {
						return
					}
					if err != nil || !slices.Equal(got, want) {
						t.Errorf("%s, %v:\n%s\nwant\n%s\nof %s", what, err, strings.Join(got, "\n"), strings.Join(want, "\n"), body)
					}
				}
				for what, second := range seconds {
					// The fields of a form may stand several times: what they hold is doubled.
					if s.Profile.Decode == DecodeJSON {
						same("all with "+what, doubled(whole, second))
					} else {
						form := *whole
						form.members = nil
						for _, m := range whole.members {
							form.members = append(form.members, member{m.key, doubled(m.value, second)})
						}
						same("all with "+what, &form)
					}
				}
			})
		}
	}
}
