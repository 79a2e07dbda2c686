package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// TestNothingIsDroppedUnseen: of every profile and each of its bodies, a value is read, or the profile says that it leaves it
// out, or the event lists its place as unread. It holds for the bodies as they are, for a member that no profile knows in
// each of their objects, and for a text, a number, a list or an object in place of each of their values.
func TestNothingIsDroppedUnseen(t *testing.T) {
	t.Parallel()
	for _, platform := range Builtin().Names() {
		s := open(t, profile(t, platform), Settings{})
		for _, name := range published(t, platform) {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				req := requestOf(t, name)
				var in content
				if err := s.decode(req, &in); err != nil {
					t.Fatal(err)
				}
				elements := []jsonpath.Result{in.doc.Root()}
				if found := jsonpath.Read(in.doc.JSON(), s.Profile.Split.text); found.Kind() == jsonpath.Array {
					elements = nil
					found.Each(func(_ []byte, element jsonpath.Result) bool { elements = append(elements, element); return true })
				}
				for _, element := range elements {
					k := keeping{t: t, s: s, req: req, in: &in}
					k.asItCame(element)
					k.members(element.Raw())
					k.values(element)
				}
			})
		}
	}
}

// keeping tries bodies on one source.
type keeping struct {
	t   *testing.T
	s   *Source
	req *Request
	in  *content
}

// made is all of the event but its list of what is unread, and that list.
func (k *keeping) made(body []byte) (event string, unread []string, ok bool) {
	ev, err := k.s.again(k.req, noon, k.in, body)
	if err != nil {
		return "", nil, false // an error is seen by whoever sent it
	}
	text, err := k.s.without(k.req, noon, k.in, body)
	if err != nil {
		k.t.Fatal(err)
	}
	return text, ev.Data().Unread, true
}

// seen says whether a place is on a list of what is unread, or one below it is.
func seen(unread []string, place string) bool {
	return slices.ContainsFunc(unread, func(u string) bool {
		return u == andMore || leads(u, place) || strings.HasPrefix(u, clippedTo(place, maxPlaceSize-4))
	})
}

// asItCame: what is listed as unread is what changes nothing, and no profile's own sample has any.
func (k *keeping) asItCame(element jsonpath.Result) {
	_, unread, _ := k.made(element.Raw())
	for _, place := range unread {
		k.t.Errorf("`%s` is unread: map it, or say in unmapped why not", place)
	}
}

const novelty = "surveygate-novelty"

// members puts a member that no profile knows into each object.
func (k *keeping) members(body []byte) {
	k.t.Helper()
	var doc any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&doc); err != nil {
		k.t.Fatal(err)
	}
	write := func() []byte {
		text, err := json.Marshal(doc)
		if err != nil {
			k.t.Fatal(err)
		}
		return text
	}
	before, _, _ := k.made(write())
	var walk func(at string, value any)
	walk = func(at string, value any) {
		switch v := value.(type) {
		case []any:
			for i := range v {
				walk(join(at, "#"), v[i])
			}
		case map[string]any:
			for _, added := range []any{novelty, map[string]any{novelty: []any{novelty}}} {
				v[novelty] = added
				place := join(at, novelty)
				after, unread, ok := k.made(write())
				if ok && after == before && !seen(unread, place) && k.s.Profile.reason(place) == "" {
					k.t.Errorf("`%s` is dropped unseen; unread: %q", place, unread)
				}
				delete(v, novelty)
			}
			for key, member := range v {
				walk(join(at, keyName.Replace(key)), member)
			}
		}
	}
	walk("", doc)
}

// values puts another value in the place of each.
func (k *keeping) values(element jsonpath.Result) {
	k.t.Helper()
	for _, place := range places(element) {
		absent, _, ok := k.made(replaced(element, place, "null"))
		if !ok {
			continue
		}
		for _, value := range []string{`"` + novelty + `"`, "7.25", "true", `["` + novelty + `"]`, fmt.Sprintf(`{%q:%q}`, novelty, novelty)} {
			after, unread, ok := k.made(replaced(element, place, value))
			if !ok || after != absent || seen(unread, place) || k.s.Profile.reason(place) != "" {
				continue
			}
			// A scalar may be an id that joins nothing; that the profile names its place is all that can be asked.
			if !k.s.Profile.names(place) || value[0] == '[' || value[0] == '{' {
				k.t.Errorf("%s at `%s` is dropped unseen; unread: %q", value, place, unread)
			}
		}
	}
}

// names says whether the profile reads a scalar at a place, under whatever condition.
func (p *Profile) names(place string) bool {
	for _, r := range append([]*reads{p.reads}, values(p.readsBy)...) {
		for _, spot := range spots(place) {
			for _, s := range spot.steps {
				if s.every {
					r = r.every
				} else {
					r = r.keys[s.key]
				}
				if r == nil || r.all != 0 {
					break
				}
			}
			if r != nil && r.all|r.leaf != 0 {
				return true
			}
		}
	}
	return false
}
