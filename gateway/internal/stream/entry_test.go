package stream

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/rules/event"
)

// load is a configuration of sources.
func load(t testing.TB, yaml string) *config.Config {
	t.Helper()
	path := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(config.Options{Path: path, Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// one is the only source of a configuration.
func one(t testing.TB, settings string) *config.Source {
	t.Helper()
	c := load(t, "sources:\n  app: {redis_stream: survey-events, redis: redis://localhost, "+settings+"}\n")
	return c.Sources[0]
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const pollqrBody = `{"event":"response.created","survey_id":"s1","response_id":"r1","timestamp":"2026-03-01T11:59:00Z","response":{"nps_score":3}}`

func signed(body, secret string) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

func TestRead(t *testing.T) {
	t.Parallel()
	headers := func(signature string) string {
		return fmt.Sprintf(`{"Content-Type":"application/json","x-pollqr-SIGNATURE":%q}`, signature)
	}
	const bare, plain, secret = "tenant: acme", "profile: pollqr", "profile: pollqr, secrets: [s3cret]"
	for name, c := range map[string]struct {
		source string
		fields map[string]string
		// want is tenant, source, type and proof; else the error.
		want string
	}{
		"our spelling":           {bare, map[string]string{"event": `{"type":"response.completed","id":"e1","nps_score":3}`}, "acme app response.completed none"},
		"CloudEvents":            {bare, map[string]string{"event": `{"specversion":"1.0","type":"response.completed","id":"e1","source":"/shop","data":{"nps_score":3}}`}, "acme app response.completed none"},
		"fields of one's own":    {bare, map[string]string{"event": `{"type":"test"}`, "trace": "1"}, "acme app test none"},
		"a source of one's own":  {bare, map[string]string{"event": `{"type":"test","source":"shop"}`}, "acme shop test none"},
		"its own tenant":         {bare, map[string]string{"event": `{"type":"test","tenant":"acme"}`}, "acme app test none"},
		"another tenant":         {bare, map[string]string{"event": `{"type":"test","tenant":"globex"}`}, "`tenant` is not its source's, which is acme"},
		"not JSON":               {bare, map[string]string{"event": `{"type":`}, "not JSON"},
		"unknown key":            {bare, map[string]string{"event": `{"type":"test","nps":3}`}, "`nps`"},
		"the gateway's type":     {bare, map[string]string{"event": `{"type":"gateway.entry"}`}, "kept for the gateway's own"},
		"a body without profile": {bare, map[string]string{"body": pollqrBody}, "no profile"},
		"neither":                {bare, map[string]string{"evnt": "{}", "x": "y"}, "neither `event` nor `body`, but \"evnt\", \"x\""},
		"both":                   {plain, map[string]string{"event": "{}", "body": "{}"}, "both"},
		"too large":              {bare, map[string]string{"event": `{"type":"test","feedback":"` + strings.Repeat("x", MaxEntry) + `"}`}, "at most 1 MiB"},
		"too deep":               {bare, map[string]string{"event": `{"type":"test","params":` + strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70) + "}"}, "nested"},
		"a platform's body":      {plain, map[string]string{"body": pollqrBody}, "default app response.completed none"},
		"ours through a profile": {plain, map[string]string{"event": `{"type":"test"}`}, "default app test none"},
		"a body that is none":    {plain, map[string]string{"body": "<xml>"}, "not JSON"},
		"headers nobody asks":    {plain, map[string]string{"body": pollqrBody, "headers": headers("wrong")}, "default app response.completed none"},
		"headers that are none":  {plain, map[string]string{"body": pollqrBody, "headers": "a: b"}, "`headers` is not a JSON object"},
		"null headers":           {plain, map[string]string{"body": pollqrBody, "headers": "null"}, "`headers` is not a JSON object"},
		"odd headers":            {plain, map[string]string{"body": pollqrBody, "headers": `{"a":{}}`}, "holds a value that is no text"},
		"listed headers":         {secret, map[string]string{"body": pollqrBody, "headers": fmt.Sprintf(`{"X-PollQR-Signature":[%q]}`, signed(pollqrBody, "s3cret"))}, "default app response.completed hmac"},
		"signed":                 {secret, map[string]string{"body": pollqrBody, "headers": headers(signed(pollqrBody, "s3cret"))}, "default app response.completed hmac"},
		"wrongly signed":         {secret, map[string]string{"body": pollqrBody, "headers": headers(signed(pollqrBody, "other"))}, "not verified"},
		"no signature":           {secret, map[string]string{"body": pollqrBody, "headers": "{}"}, "not verified"},
		"a header twice":         {secret, map[string]string{"body": pollqrBody, "headers": fmt.Sprintf(`{"X-PollQR-Signature":[%q,"x"]}`, signed(pollqrBody, "s3cret"))}, "the header `X-PollQR-Signature` occurs twice"},
		"a header twice, apart":  {secret, map[string]string{"body": pollqrBody, "headers": fmt.Sprintf(`{"x-pollqr-signature":"x","X-PollQR-Signature":%q}`, signed(pollqrBody, "s3cret"))}, "the header `X-PollQR-Signature` occurs twice"},
		"a header of no text":    {plain, map[string]string{"body": pollqrBody, "headers": `{"a":"\ud800"}`}, "holds a value that is no text"},
		"an id of no text":       {bare, map[string]string{"event": `{"type":"test","id":"\ud800"}`}, "`id` is no text"},
		"a platform's, no text":  {plain, map[string]string{"body": strings.Replace(pollqrBody, "r1", "r\xff", 1)}, "`response_id` is no text"},
		"no headers":             {secret, map[string]string{"body": pollqrBody}, "default app response.completed none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := one(t, c.source)
			events, err := read(s, entry{ID: "1-0", Fields: c.fields, Reads: 1}, noon)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("refused: %v; want %q", err, c.want)
				}
				return
			}
			if len(events) != 1 {
				t.Fatalf("%d events", len(events))
			}
			ev := events[0]
			if got := strings.Join([]string{ev.Tenant, ev.Source, ev.Type, ev.Verified}, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// A signature with a time is judged by when the entry was added, not by when it is read.
func TestSignatureIsJudgedByTheEntrysTime(t *testing.T) {
	t.Parallel()
	s := one(t, `profile: pollqr, secrets: [s3cret], verify: [{kind: hmac, hash: sha256, encoding: hex, header: X-Sign, signed: "{timestamp}.{body}", timestamp: {header: X-Time, tolerance: 5m}}]`)
	at := fmt.Sprint(noon.Unix())
	fields := map[string]string{"body": pollqrBody, "headers": fmt.Sprintf(`{"X-Time":%q,"X-Sign":%q}`, at, signed(at+"."+pollqrBody, "s3cret"))}
	late := noon.Add(3 * time.Hour)
	for id, ok := range map[string]bool{
		fmt.Sprintf("%d-0", noon.UnixMilli()):                true,
		fmt.Sprintf("%d-0", noon.Add(time.Hour).UnixMilli()): false,
		"1-1": false, // an id of the sender's own says nothing of time: it is judged by now
	} {
		events, err := read(s, entry{ID: id, Fields: fields, Reads: 1}, late)
		if (err == nil) != ok {
			t.Errorf("entry %s: %v", id, err)
		}
		if ok && len(events) == 1 && !events[0].Received.Equal(late) {
			t.Errorf("received %s", events[0].Received)
		}
	}
}

func TestPoisonIsNotReadASixthTime(t *testing.T) {
	t.Parallel()
	s := one(t, "tenant: acme")
	for read5, ok := range map[int64]bool{5: true, 6: false} {
		_, err := read(s, entry{ID: "1-0", Fields: map[string]string{"event": `{"type":"test"}`}, Reads: read5}, noon)
		if (err == nil) != ok {
			t.Errorf("read %d times: %v", read5, err)
		}
	}
}

// What buries an entry that was given out too often says what is known, and no more: why none of its readers answered,
// Redis does not say.
func TestEntryThatNobodyAnsweredFor(t *testing.T) {
	t.Parallel()
	_, err := read(one(t, "tenant: acme"), entry{ID: "1-0", Fields: map[string]string{"event": `{"type":"test"}`}, Reads: maxReads + 1}, noon)
	want := "given out 5 times and never acknowledged: each time its reader stopped before it was done, or lost the connection to Redis; replay it if nothing is wrong with it"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

func TestLetter(t *testing.T) {
	t.Parallel()
	s := one(t, "tenant: acme")
	why := errors.New("not JSON")
	letter := func(e entry) *event.Event {
		t.Helper()
		ev, err := letterOf(s, e, why, noon)
		if err != nil {
			t.Fatal(err)
		}
		return ev
	}
	bad := entry{ID: "5-1", Fields: map[string]string{"event": `{"type":`, "trace": "x"}}
	first := letter(bad)
	if got := first.Tenant + " " + first.Source + " " + first.Type + " " + first.OrigType + " " + first.OrigID; got != "acme app gateway.entry survey-events 5-1" {
		t.Errorf("letter %s", got)
	}
	if diff := cmp.Diff([]string{"not JSON"}, first.Data().Warnings); diff != "" {
		t.Error(diff)
	}
	if letter(bad).ID != first.ID {
		t.Error("the same entry is another letter the second time")
	}
	for _, other := range []entry{
		{ID: "5-2", Fields: bad.Fields},
		{ID: "5-1", Fields: map[string]string{"event": `{"type":`, "trace": "y"}}, // of a stream that began again
	} {
		if letter(other).ID == first.ID {
			t.Errorf("entry %v is the same letter", other)
		}
	}
	binary := entry{ID: "6-1", Fields: map[string]string{"event": "\xff\x00", "n\xfe": "v"}}
	for _, e := range []entry{bad, binary} {
		kept, err := event.Decode(letter(e).Envelope(), letter(e).Raw.Body)
		if err != nil {
			t.Fatal(err)
		}
		got, err := entryOf(kept)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e.Fields, got.Fields); diff != "" || got.ID != e.ID {
			t.Errorf("entry %s is read again as (-want +got):\n%s", got.ID, diff)
		}
	}
	huge := map[string]string{"event": strings.Repeat("é", 5<<20)}
	for i := range 1000 {
		huge[fmt.Sprint(i)] = "x"
	}
	cut := letter(entry{ID: "7-1", Fields: huge})
	if cut.Size() > MaxEntry {
		t.Errorf("a letter of %d bytes", cut.Size())
	}
	if _, err := Reread(s, cut, noon); !errors.Is(err, ErrCut) {
		t.Errorf("read again: %v", err)
	}
}
