package source

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/jsonpath"
)

// TestIDsAreText: an id that is no text would read as another one. Every text of every published payload is tried: a body
// in which an event or response is known by it is refused, and of everybody else's ids such a one is left out.
func TestIDsAreText(t *testing.T) {
	t.Parallel()
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
				bads := map[Decoder][]string{
					DecodeJSON: {"\xff", "\xed\xa0\x80", `\ud800`, `\udc00x`}, DecodeMultipart: {"\xff", "\xed\xa0\x80"},
					DecodeForm: {"%FF", "%ED%A0%80"},
				}[s.Profile.Decode]
				refused, taken := 0, 0
				whole.each(func(leaf *tree) {
					if leaf.kind != jsonpath.String {
						return
					}
					const mark = "put-here"
					was := leaf.scalar
					leaf.scalar = was[:len(was)-1] + mark + `"`
					for _, bad := range bads {
						req := treeRequest(s, whole)
						req.Body = bytes.ReplaceAll(req.Body, []byte(mark), []byte(bad))
						events, err := s.Normalise(req, noon)
						if _, ok := errors.AsType[*event.FieldError](err); ok {
							refused++
							continue
						}
						if err != nil {
							t.Fatal(err)
						}
						for _, ev := range events {
							d := ev.Data()
							for _, id := range []string{ev.DedupeKey, ev.OrigID, ev.SurveyID, ev.ResponseID, d.Account.ID, d.Respondent.ID, d.Respondent.ExternalID, d.Context.CollectorID} {
								if strings.Contains(id, replacement) {
									t.Errorf("%s with %q is taken as %q", was, bad, id)
								}
							}
						}
						taken++
					}
					leaf.scalar = was
				})
				if knows := strings.Contains(profile(t, platform).Dedupe.String(), "{sha256}"); refused == 0 && !knows && taken > 8 {
					t.Errorf("none of %d is refused", taken)
				}
			})
		}
	}
}

// TestNotText says what is wrong, where.
func TestNotText(t *testing.T) {
	t.Parallel()
	const head = "source: x\nverify: [{kind: none}]\ntype: {const: c, default: response.completed}\n"
	const form = "source: x\ndecode: form\njson_fields: [j]\nverify: [{kind: none}]\ntype: {const: c, default: response.completed}\n"
	for _, tt := range []struct{ profile, body, header, want string }{
		{head + "dedupe: \"{a.b}\"\n", `{"a":{"b":"\ud800"}}`, "", "`a.b` is no text: it holds bytes that are not UTF-8, or half of a surrogate pair"},
		{head + "dedupe: \"{sha256}\"\nid: [none, a]\n", "{\"a\":\"x\xff\"}", "", "`a` is no text"},
		{head + "dedupe: \"{sha256}\"\nmap: {response.id: [r.0, s]}\n", `{"r":["\udc00"],"s":"1"}`, "", "`r.0` is no text"},
		{head + "dedupe: \"{sha256}\"\nmap: {survey.id: {path: s, prefix: p}}\n", `{"s":"\ud800"}`, "", "`s` is no text"},
		{head + "dedupe: \"{header:X-Id}\"\n", `{}`, "\xff", "`header:X-Id` is no text"},
		{form + "dedupe: \"{i}\"\n", "i=%FF", "", "`i` is no text"},
		{form + "dedupe: \"{j.i}\"\n", "j=%7B%22i%22%3A%22%FE%22%7D", "", "`j.i` is no text"},
		// What nobody is known by is read as well as it can be.
		{head + "dedupe: \"{id}\"\nmap: {feedback: f, email: e}\n", "{\"id\":1,\"f\":\"\xff\",\"e\":\"\\ud800\"}", "", ""},
		{head + "dedupe: \"{id}\"\n", `{"id":"\ufffd"}`, "", ""},
		{head + "dedupe: \"{id}\"\nmap: {respondent.external_id: u}\n", `{"id":1,"u":"\ud800"}`, "", ""},
	} {
		s := inline(t, tt.profile)
		req := request([]byte(tt.body))
		req.Header = func(string) string { return tt.header }
		_, err := s.Normalise(req, noon)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %s", tt.body, err, tt.want)
		}
	}
	ev := one(t, inline(t, head+"dedupe: \"{id}\"\nmap: {respondent.external_id: u}\n"), `{"id":1,"u":"\ud800"}`)
	if ev.Data().Respondent.ExternalID != "" || !strings.Contains(ev.Data().Warnings[0], "the value of `u` is not an id") {
		t.Errorf("a person's id is %q, warnings %q", ev.Data().Respondent.ExternalID, ev.Data().Warnings)
	}
}
