package source

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// tree is JSON that can be changed: in order, and with keys that stand twice.
type tree struct {
	kind    jsonpath.Kind
	scalar  string // as JSON
	members []member
}

type member struct {
	key   string
	value *tree
}

func plant(v jsonpath.Result) *tree {
	t := &tree{kind: v.Kind()}
	if t.kind != jsonpath.Object && t.kind != jsonpath.Array {
		t.scalar = string(v.Raw())
		return t
	}
	v.ForEach(func(key string, value jsonpath.Result) bool {
		t.members = append(t.members, member{key, plant(value)})
		return true
	})
	return t
}

func (t *tree) write(out *bytes.Buffer) {
	brackets := map[jsonpath.Kind]string{jsonpath.Object: "{}", jsonpath.Array: "[]"}[t.kind]
	if brackets == "" {
		out.WriteString(t.scalar)
		return
	}
	out.WriteByte(brackets[0])
	for i, m := range t.members {
		if i > 0 {
			out.WriteByte(',')
		}
		if t.kind == jsonpath.Object {
			out.Write(quote(m.key))
			out.WriteByte(':')
		}
		m.value.write(out)
	}
	out.WriteByte(brackets[1])
}

func (t *tree) String() string {
	var b bytes.Buffer
	t.write(&b)
	return b.String()
}

func (t *tree) clone() *tree {
	c := *t
	c.members = make([]member, len(t.members))
	for i, m := range t.members {
		c.members[i] = member{m.key, m.value.clone()}
	}
	return &c
}

// each calls f for the tree and all below it.
func (t *tree) each(f func(*tree)) {
	f(t)
	for _, m := range t.members {
		m.value.each(f)
	}
}

// persons are two respondents who answered the same: every value that may be another one is, and holds its mark.
type persons struct {
	platform string
	s        *Source
	one, two *tree
}

const (
	markOne = "Anna77"
	markTwo = "Bert88"
)

// marked is a payload with a mark in each value that may hold one: without it, or with another, the event has the same
// type, as many answers, and nothing to warn of.
func marked(t testing.TB, s *Source, body []byte, mark string) *tree {
	t.Helper()
	whole := plant(jsonpath.Parse(body))
	shape := func() string {
		events, err := s.Normalise(treeRequest(s, whole), noon)
		if err != nil {
			t.Fatal(err)
		}
		text := ""
		for _, ev := range events {
			d := ev.Data()
			text += fmt.Sprint(ev.Type, len(d.Response.Answers), len(d.Warnings), len(d.Response.Leads), value(d.Response.Score.NPS), ";")
		}
		return text
	}
	want := shape()
	number := 0
	whole.each(func(leaf *tree) {
		was := leaf.scalar
		switch leaf.kind {
		case jsonpath.String:
			leaf.scalar = string(quote(jsonpath.Parse([]byte(was)).Text() + mark))
		case jsonpath.Number:
			number++
			leaf.scalar = strings.Map(digits, mark) + strconv.Itoa(10000+number)
		default:
			return
		}
		if shape() != want {
			leaf.scalar = was
		}
	})
	return whole
}

// digits makes a number of a mark: what it leaves of Anna77 is no part of another's.
func digits(r rune) rune {
	if r >= '0' && r <= '9' {
		return r
	}
	return '3' + r%5
}

// treeRequest is a tree as the platform would send it.
func treeRequest(s *Source, body *tree) *Request {
	if s.Profile.Decode == DecodeJSON {
		return request([]byte(body.String()))
	}
	// Forms: each member is a field; what is no text stands there as JSON.
	const boundary = "always-the-same"
	var form []string
	var parts bytes.Buffer
	for _, m := range body.members {
		text := m.value.String()
		if m.value.kind == jsonpath.String {
			text = jsonpath.Parse([]byte(text)).Text()
		}
		form = append(form, string(withField(nil, m.key, text))[1:])
		fmt.Fprintf(&parts, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, m.key, text)
	}
	fmt.Fprintf(&parts, "--%s--\r\n", boundary)
	req := request([]byte(strings.Join(form, "&")))
	req.ContentType = contentTypes[DecodeForm]
	if s.Profile.Decode == DecodeMultipart {
		req.Body, req.ContentType = parts.Bytes(), contentTypes[DecodeMultipart]+"; boundary="+boundary
	}
	return req
}

// pairs are the two respondents of every published payload.
func pairsOf(t testing.TB) []persons {
	t.Helper()
	var all []persons
	for _, platform := range Builtin().Names() {
		s := open(t, profile(t, platform), Settings{Roles: map[string]Field{"1": field(t, "feedback"), "q1": field(t, "name")}})
		for _, name := range published(t, platform) {
			var in content
			if err := s.decode(requestOf(t, name), &in); err != nil {
				t.Fatal(err)
			}
			body := in.doc.JSON()
			p := persons{platform: platform, s: s, one: marked(t, s, body, markOne), two: marked(t, s, body, markTwo)}
			if n := strings.Count(p.one.String(), markOne); n < 2 && !strings.Contains(name, "testEndpoint") && !strings.Contains(name, "test.webhook") {
				t.Fatalf("%s holds %d marks: %s", name, n, p.one)
			}
			if strings.Contains(p.one.String(), markTwo) || len(p.one.String()) != len(p.two.String()) {
				t.Fatalf("%s: the marks are not alike", name)
			}
			all = append(all, p)
		}
	}
	return all
}

// mutate changes a body as broken, changed or hostile senders would: nothing of another respondent comes into it but
// behind what the first one has, where it does not count. Repeats says that it does at the top: the fields of a form.
func mutate(r *rand.Rand, body, other *tree, repeats bool) *tree {
	body = body.clone()
	for range 1 + r.IntN(4) {
		var objects, lists, all []*tree
		body.each(func(t *tree) {
			all = append(all, t)
			switch {
			case len(t.members) == 0:
			case t.kind == jsonpath.Object:
				objects = append(objects, t)
			case t.kind == jsonpath.Array:
				lists = append(lists, t)
			}
		})
		if len(objects) == 0 {
			return body
		}
		o := objects[r.IntN(len(objects))]
		i := r.IntN(len(o.members))
		any := all[r.IntN(len(all))]
		switch r.IntN(8) {
		case 0: // dropped
			o.members = slices.Delete(o.members, i, i+1)
		case 1: // duplicated
			o.members = append(o.members, member{o.members[i].key, o.members[i].value.clone()})
		case 2: // retagged
			o.members[i].key = o.members[r.IntN(len(o.members))].key
		case 3: // renamed
			o.members[i].key = []string{"", "email", "value", "a.b", "\u0000", "__proto__", "#", "0", strings.Repeat("k", 2000)}[r.IntN(9)]
		case 4: // another type
			v := o.members[i].value
			texts := []string{"null", "true", "0", "-1e400", `""`, `"\ud800"`, "1e3", `"2024-13-45T99:00:00Z"`, "12345678901234567890123", `"null"`}
			*v = tree{kind: jsonpath.Null, scalar: texts[r.IntN(len(texts))]}
			v.kind = jsonpath.Parse([]byte(v.scalar)).Kind()
		case 5: // in a list, or in an object
			was := *any
			*any = tree{kind: jsonpath.Array, members: []member{{"", &was}}}
			if r.IntN(2) == 0 {
				any.kind, any.members[0].key = jsonpath.Object, "value"
			}
		case 6: // deep
			was := *any
			for range r.IntN(80) {
				inner := was
				was = tree{kind: jsonpath.Array, members: []member{{"", &inner}}}
			}
			*any = was
		case 7: // in another order
			if len(lists) > 0 {
				l := lists[r.IntN(len(lists))]
				r.Shuffle(len(l.members), func(i, j int) { l.members[i], l.members[j] = l.members[j], l.members[i] })
			}
		}
	}
	behind(r, body, other, repeats) // at last, so that what it puts behind one's own stays there
	return body
}

// behind puts another's members behind those of the same name in objects that both have, where the first ones count.
func behind(r *rand.Rand, body, other *tree, repeats bool) {
	if body.kind != jsonpath.Object || other.kind != jsonpath.Object {
		return
	}
	for _, m := range slices.Clone(body.members) {
		at := slices.IndexFunc(other.members, func(o member) bool { return o.key == m.key })
		if at < 0 {
			continue
		}
		if !repeats && r.IntN(4) == 0 {
			body.members = append(body.members, member{m.key, other.members[at].value.clone()})
		} else {
			behind(r, m.value, other.members[at].value, false)
		}
	}
}

// foreign fails where an event says anything of somebody whose mark it must not hold.
func (p persons) foreign(t testing.TB, body *tree, mark string) {
	t.Helper()
	events, err := p.s.Normalise(treeRequest(p.s, body), noon)
	if err != nil {
		promised(t, p.platform, err)
		return
	}
	number := strings.Map(digits, mark)
	for _, ev := range events {
		if !json.Valid(ev.Envelope()) {
			t.Fatalf("%s: envelope %q", p.platform, ev.Envelope())
		}
		said := string(ev.DataJSON()) + ev.OrigID + ev.OrigType + ev.SurveyID + ev.ResponseID + ev.DedupeKey
		if strings.Contains(said, mark) || strings.Contains(said, number) {
			t.Fatalf("%s: an event says what another respondent said\n%s\n%s", p.platform, body, ev.Envelope())
		}
	}
}

// batch is several respondents in one body, each mutated by itself: no event holds anything of another one, and neither
// do the bytes that it keeps.
func (p persons) batch(t testing.TB, r *rand.Rand) {
	t.Helper()
	if p.s.Profile.Split.text != "@this" || p.one.kind != jsonpath.Array {
		return
	}
	marks := []string{markOne, markTwo}
	var whole tree
	var owners []int
	whole.kind = jsonpath.Array
	for range 2 + r.IntN(5) {
		who := r.IntN(2)
		from := []*tree{p.one, p.two}[who]
		element := mutate(r, from.members[0].value, &tree{kind: jsonpath.Object}, false)
		whole.members = append(whole.members, member{"", element})
		owners = append(owners, who)
	}
	events, err := p.s.Normalise(treeRequest(p.s, &whole), noon)
	if err != nil {
		promised(t, p.platform, err)
		return
	}
	if len(events) != len(owners) {
		t.Fatalf("%s: %d events of %d respondents", p.platform, len(events), len(owners))
	}
	for i, ev := range events {
		stranger := marks[1-owners[i]]
		if strings.Contains(string(ev.EnvelopeWithRaw()), stranger) || bytes.Contains(ev.Raw.Body, []byte(stranger)) {
			t.Fatalf("%s: event %d of %s holds %s", p.platform, i, &whole, stranger)
		}
	}
}
