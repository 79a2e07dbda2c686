package event

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dice makes random events from a fixed seed.
type dice struct{ *rand.Rand }

func (r dice) text() string {
	parts := []string{"a", "B", " ", "é", "\u2028", "😀", `"`, `\`, "\n", "\x00", "\x1f", "\x7f", "/", "<", "&", "\xff", "\xc3", "0", "1", "{", "}", ",", ":", "."}
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

func (r dice) json(depth int) json.RawMessage {
	space := []string{"", "", " ", "\n\t"}[r.IntN(4)]
	switch n := r.IntN(9); {
	case n == 0:
		return json.RawMessage(`null`)
	case n == 1:
		return json.RawMessage(`true`)
	case n == 2:
		return json.RawMessage([]string{"0", "-0", "1.50", "1e3", "12345678901234567890", "1e-9", "-7", "0.1"}[r.IntN(8)])
	case n <= 5 || depth > 3:
		b, _ := json.Marshal(r.text())
		return b
	case n == 6:
		out := "[" + space
		for i := range r.IntN(4) {
			if i > 0 {
				out += "," + space
			}
			out += string(r.json(depth + 1))
		}
		return json.RawMessage(out + space + "]")
	default:
		return r.object(depth)
	}
}

func (r dice) object(depth int) json.RawMessage {
	out := "{"
	for i := range r.IntN(4) {
		if i > 0 {
			out += " ,"
		}
		key, _ := json.Marshal([]string{r.text(), "10", "9", "a", "raw", "id"}[r.IntN(6)])
		out += string(key) + ": " + string(r.json(depth+1))
	}
	return json.RawMessage(out + "}")
}

func (r dice) data() *Data {
	d := new(Data)
	for i := range leaves {
		l := &leaves[i]
		if r.IntN(3) == 0 {
			continue
		}
		switch {
		case l.time:
			*l.text(d) = []string{"2024-01-01T12:00:00Z", "1704110400", "soon", "2024-01-01 12:00:00.250", ""}[r.IntN(5)]
		case l.text != nil:
			*l.text(d) = r.text()
		case l.number != nil:
			*l.number(d) = new([]float64{0, 9, -1, 11, 0.5, 1e22, 1e-9}[r.IntN(7)])
		case l.truth != nil:
			*l.truth(d) = new(r.IntN(2) == 0)
		case l.object != nil:
			*l.object(d) = r.object(0)
		case l.special == answers:
			for range r.IntN(20) {
				d.Response.Answers = append(d.Response.Answers, Answer{QuestionID: r.text(), Question: r.text(), Type: r.text(), Value: r.json(0), ValueIDs: r.json(0), Comment: r.text()})
			}
		case l.special == leads:
			for range r.IntN(3) {
				d.Response.Leads = append(d.Response.Leads, r.object(0))
			}
		case l.special == texts:
			*l.texts(d) = []string{r.text(), r.text()}
		}
	}
	return d
}

// Random events conform to the schema, and are equal after decoding and encoding.
func TestRandomEventsRoundTrip(t *testing.T) {
	t.Parallel()
	r := dice{rand.New(rand.NewPCG(1, 2))}
	schema := validator(t)
	for i := range 500 {
		h := Header{
			Type: Types[r.IntN(len(Types))], Received: received.Add(time.Duration(r.Int64N(1e15))), OrigType: r.text(), OrigID: r.text(), DedupeKey: r.text(), SourceKind: r.text(),
			Verified: []string{"hmac", "token", "basic", "path", "none", ""}[r.IntN(6)],
		}
		if r.IntN(2) == 0 {
			h.Time = received.Add(-time.Duration(r.Int64N(1e17)))
		}
		raw := Raw{ContentType: r.text(), Body: []byte(r.text()), Redacted: r.IntN(2) == 0}
		if len(raw.Body) == 0 {
			raw.Body = nil
		}
		for range r.IntN(3) {
			raw.AnswersAt, raw.LeadsAt = append(raw.AnswersAt, r.text()), append(raw.LeadsAt, r.text())
		}
		want, err := New(h, r.data(), raw)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if i%10 == 0 {
			validate(t, schema, want.EnvelopeWithRaw())
		}
		if !(&Event{envelope: want.Envelope()}).decodeOurs() {
			t.Fatalf("%d: took the slow way: %s", i, want.Envelope())
		}
		got, err := Decode(want.Envelope(), want.Raw.Body)
		if err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		slow := &Event{envelope: want.Envelope(), Raw: Raw{Body: want.Raw.Body}}
		if err := slow.decodeAny(); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		for _, e := range []*Event{got, slow} {
			if diff := cmp.Diff(want.Header, e.Header) + cmp.Diff(want.Raw, e.Raw); diff != "" {
				t.Fatalf("%d (-new +decoded):\n%s\n%s", i, diff, want.Envelope())
			}
			if string(e.EnvelopeWithRaw()) != string(want.EnvelopeWithRaw()) || string(e.DataJSON()) != string(want.DataJSON()) {
				t.Fatalf("%d: got %s\nwant %s", i, e.EnvelopeWithRaw(), want.EnvelopeWithRaw())
			}
		}
		again, err := New(got.Header, got.Data(), got.Raw)
		if err != nil || string(again.Envelope()) != string(want.Envelope()) {
			t.Fatalf("%d: written again: %v\n%s\n%s", i, err, again.Envelope(), want.Envelope())
		}
		// encoding/json reads the same out of it.
		plain := new(Data)
		if err := json.Unmarshal(want.DataJSON(), plain); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
		if diff := cmp.Diff(plain, got.Data()); diff != "" {
			t.Fatalf("%d (-encoding/json +ours):\n%s", i, diff)
		}
	}
}

// Unknown fields, which a newer version or another program has written, are ignored.
func TestDecodeIgnoresUnknownFields(t *testing.T) {
	t.Parallel()
	got := decodeData([]byte(`{"new":{"a":1},"survey":"x","response":{"id":5,"score":{"nps":"much","csat":2,"new":1},"completed":"yes",
		"answers":[5,{"question":7,"new":1,"value":1},{"question_id":"a","value":2}],"leads":[1,{"a":1}],"result":[]},
		"respondent":{"params":1,"email":["x"],"name":"Jo"},"warnings":[1,"w"],"account":null}`))
	want := &Data{
		Response: Response{
			ID: "5", Score: Score{CSAT: new(2.0)}, Leads: []json.RawMessage{json.RawMessage(`{"a":1}`)},
			Answers: []Answer{{}, {Value: json.RawMessage(`1`)}, {QuestionID: "a", Value: json.RawMessage(`2`)}},
		},
		Respondent: Respondent{Name: "Jo"},
		Warnings:   []string{"w"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, text := range []string{"", "[]", "{", `{"survey":`, "\xff", `{"response":{"answers":[{`} {
		if decodeData([]byte(text)) == nil {
			t.Errorf("%q gives no data", text)
		}
	}
}
