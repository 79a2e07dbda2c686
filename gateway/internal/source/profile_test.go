package source

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

// TestProfileFaults: a bad profile says what is wrong, in which file, line and column, and what to do.
func TestProfileFaults(t *testing.T) {
	t.Parallel()
	const good = "source: x\nverify: [{kind: none}]\ntype: {path: t}\ndedupe: \"{id}\"\n" // the next line is 5
	// A form of which only the field M is signed, without and with sources that have no secret; dedupe is line 5.
	const partial = "source: x\ndecode: form\nverify: [{kind: hmac, field: S, signed: \"{field:M}\"}]\ntype: {path: M.t}\n"
	const optional = "source: x\ndecode: form\nverify: [{kind: hmac, field: S, signed: \"{field:M}\", optional: true}]\ntype: {path: M.t}\n"
	tests := []struct{ name, text, want string }{
		{"unknown key", good + "maps: {survey.id: id}\n", "x.yaml:5:1: `maps` is not a setting here"},
		{"unknown key within", good + "answers:\n  - {from: a, each: {value: v}, joins: x}\n", "x.yaml:6:33: `joins` is not a setting here"},
		{"no such field", good + "map: {nps_scor: a}\n", "x.yaml:5:7: `nps_scor` is not a field of an event"},
		{"no such field, remedy", good + "map: {nps_scor: a}\n", "did you mean nps_score?"},
		{"field of another kind", good + "map: {params: a}\n", "x.yaml:5:7: `params` is not a field of an event"},
		{"mapped twice", good + "map: {nps_score: a, response.score.nps: b}\n", "x.yaml:5:21: `response.score.nps` is mapped twice"},
		{"broken path", good + "map: {email: 'a.#(b==\"c\"'}\n", "x.yaml:5:14: path `a.#(b==\"c\"`"},
		{"no such modifier", good + "map: {email: 'a.@nope'}\n", "x.yaml:5:14: path `a.@nope`: `@nope` is no modifier"},
		{"empty path", good + "map: {email: ''}\n", "x.yaml:5:14: path ``: empty path"},
		{"broken pattern", good + "roles: [{set: email, value: '(a'}]\n", "x.yaml:5:29: pattern: error parsing regexp"},
		{"no canonical type", "source: x\nverify: [{kind: none}]\ntype: {path: t, map: {a: response.complete}}\ndedupe: \"{id}\"\n", "x.yaml:3:26: `response.complete` is not a canonical type"},
		{"a type of the gateway's own", "source: x\nverify: [{kind: none}]\ntype: {path: t, map: {a: gateway.entry}}\ndedupe: \"{id}\"\n", "x.yaml:3:26: `gateway.entry` is not a canonical type"},
		{"no canonical type, remedy", "source: x\nverify: [{kind: none}]\ntype: {path: t, map: {a: response.complete}}\ndedupe: \"{id}\"\n", "did you mean response.completed?"},
		{"template not closed", "source: x\nverify: [{kind: none}]\ntype: {path: t}\ndedupe: \"{id\"\n", "x.yaml:4:9: `{id`: a { without its }"},
		{"template not opened", "source: x\nverify: [{kind: none}]\ntype: {path: t}\ndedupe: \"id}\"\n", "x.yaml:4:9: `id}`: a } without its {"},
		{"template with a query", "source: x\nverify: [{kind: none}]\ntype: {path: t}\ndedupe: \"{query:a}\"\n", "x.yaml:4:9: a query parameter is not part of an event"},
		{"no verify", "source: x\ntype: {path: t}\ndedupe: \"{id}\"\n", "`verify` is missing"},
		{"empty verify", "source: x\nverify: []\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:9: the way to verify requests is missing"},
		{"verify of no kind", "source: x\nverify: [{kind: magic}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:17: `magic` is no kind of verification"},
		{"hmac nowhere", "source: x\nverify: [{kind: hmac}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:10: an hmac stands in one place"},
		{"hash of no kind", "source: x\nverify: [{kind: hmac, header: X, hash: md5}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:40: `md5` is no hash"},
		{"token path broken", "source: x\nverify: [{kind: token, path: 'a.#('}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:30: path `a.#(`"},
		{"a form's field in JSON", "source: x\nverify: [{kind: token, field: key}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:31: a JSON body has no form fields"},
		{"a path in a form", "source: x\ndecode: form\nverify: [{kind: token, path: key}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:3:30: a form has fields, not paths"},
		{"no dedupe", "source: x\nverify: [{kind: none}]\ntype: {path: t}\n", "`dedupe` is missing"},
		{"an empty key of a type", good + "dedupe_by_type: {test: \"\"}\n", "x.yaml:5:24: the dedupe key is empty"},
		{"a key of no type", good + "dedupe_by_type: {tset: \"{id}\"}\n", "x.yaml:5:18: `tset` is not a canonical type"},
		{"a key of a type with a query", good + "dedupe_by_type: {test: \"{query:a}\"}\n", "x.yaml:5:24: a query parameter is not part of an event"},
		{"one part and several", good + "roles: [{set: phone, type: [t], part: a, parts: [b, c]}]\n", "x.yaml:5:9: a role has either one part or several"},
		{"no type", "source: x\nverify: [{kind: none}]\ntype: {}\ndedupe: \"{id}\"\n", "x.yaml:3:7: the way to find an event's type is missing"},
		{"a map without its key", "source: x\nverify: [{kind: none}]\ntype: {map: {a: test}, default: unknown}\ndedupe: \"{id}\"\n", "x.yaml:3:7: the map of types needs a name to look up"},
		{"idle condition", "source: x\nverify: [{kind: none}]\ntype: {rules: [{when: {path: a}, type: test}]}\ndedupe: \"{id}\"\n", "the condition has no test"},
		{"bad name", "source: Poll QR\nverify: [{kind: none}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:1:9: `Poll QR` is not a name"},
		{"bad decoder", "source: x\ndecode: xml\nverify: [{kind: none}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:9: `xml` is not a decoder"},
		{"json_fields of JSON", good + "json_fields: [a]\n", "x.yaml:5:1: json_fields applies to forms only"},
		{"reply of no success", good + "reply: 404\n", "x.yaml:5:8: the reply must be a status of success"},
		{"bad shape", good + "answers: [{from: a, shape: list}]\n", "x.yaml:5:28: `list` is not a shape of answers"},
		{"bad part", good + "answers: [{from: a, each: {id: b, value: v}}]\n", "x.yaml:5:28: `id` is not a part of an answer"},
		{"no value", good + "answers: [{from: a, each: {question_id: b}}]\n", "x.yaml:5:11: the place of an answer's value is missing"},
		{"key of an array", good + "answers: [{from: a, key: b, each: {value: v}}]\n", "x.yaml:5:11: key and skip apply to answers that are an object"},
		{"definitions alone", good + "answers: [{from: a, each: {value: v}, defs: [{from: d, id: i}]}]\n", "x.yaml:5:11: definitions need a key to look up"},
		{"score of no score", good + "score: [{set: email, from: a}]\n", "x.yaml:5:15: `respondent.email` is not a score"},
		{"role that fits all", good + "roles: [{set: email}]\n", "x.yaml:5:9: the role matches every answer"},
		{"handshake of nothing", good + "handshake: [{reply: 200}]\n", "x.yaml:5:13: a handshake needs either a method or a condition"},
		{"a list where text is wanted", good + "split: [a]\n", "x.yaml:5:8"},
		{"a key beside the signature", partial + "dedupe: \"{M.id}:{Topic}\"\n", "x.yaml:5:9: the dedupe key reads `Topic`, which the signature does not cover: it covers the field `M`"},
		{"a key of a header beside the signature", "source: x\nverify: [{kind: hmac, header: S}]\ntype: {path: t}\ndedupe: \"{header:X-Id}\"\n", "x.yaml:4:9: the dedupe key reads `header:X-Id`, which the signature does not cover: it covers the body"},
		{"a key of a type beside the signature", partial + "dedupe: \"{M.id}\"\ndedupe_by_type: {survey.closed: \"{At}\"}\n", "the dedupe key of survey.closed reads `At`"},
		{"an id beside the signature", partial + "dedupe: \"{M.id}\"\nid: [M.id, id]\n", "x.yaml:6:5: the event's id reads `id`"},
		{"a type beside the signature", "source: x\ndecode: form\nverify: [{kind: hmac, field: S, signed: \"{field:M}\"}]\ntype: {path: Topic}\ndedupe: \"{M.id}\"\n", "or write hints: [Topic]: a hint may only determine the type"},
		{"a field beside the signature", partial + "dedupe: \"{M.id}\"\nmap: {email: mail}\n", "x.yaml:6:6: `respondent.email` reads `mail`"},
		{"answers beside the signature", partial + "dedupe: \"{M.id}\"\nanswers: [{from: list, each: {value: v}}]\n", "x.yaml:6:11: answers reads `list`"},
		{"a hint as a key", partial + "dedupe: \"{M.id}:{Hint}\"\nhints: [Hint]\n", "x.yaml:5:9: the dedupe key reads `Hint`"},
		{"only what an optional signature leaves out", optional + "dedupe: \"{M.id}{id}:{at}\"\n", "x.yaml:5:9: the dedupe key reads `at`"},
		{"hints of a signed body", good + "hints: [a]\n", "x.yaml:5:8: hints are fields that a signature does not cover"},
		{"a hint that is signed", partial + "dedupe: \"{M.id}\"\nhints: [M]\n", "x.yaml:6:9: `M` is signed"},
		{"a key chosen by a hint", partial + "dedupe: \"{M.id}\"\nhints: [Topic]\ndedupe_by_type: {survey.closed: \"{M.at}\"}\n", "hints determine the type, so the dedupe key must not depend on it"},
		{"an id chosen by a hint", partial + "dedupe: \"{M.id}\"\nhints: [Topic]\nmap_by_type: {survey.closed: {response.id: M.at}}\n", "so `response.id` must not depend on it"},
		{"a test made by a hint", "source: x\ndecode: form\nverify: [{kind: hmac, field: S, signed: \"{field:M}\"}]\ntype: {path: Topic, map: {ping: test}}\ndedupe: \"{M.id}\"\nhints: [Topic]\n", "a hint must not turn an event into a test"},
		{"a test for want of a hint", "source: x\ndecode: form\nverify: [{kind: hmac, field: S, signed: \"{field:M}\"}]\ntype: {path: Topic, default: test}\ndedupe: \"{M.id}\"\nhints: [Topic]\n", "a hint must not turn an event into a test"},
		{"a signed field of JSON", "source: x\nverify: [{kind: hmac, header: S, signed: \"{field:M}\"}]\ntype: {path: t}\ndedupe: \"{id}\"\n", "x.yaml:2:42: a JSON body has no form fields"},
		{"not YAML", "source: [", "x.yaml:1"},
		{"empty", "", "`source` is missing"},
		{"a list", "- a\n", "x.yaml:1:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, faults := Parse("x.yaml", []byte(tt.text))
			if len(faults) == 0 || p != nil {
				t.Fatalf("no fault, want %q", tt.want)
			}
			if !strings.Contains(faults.Error(), tt.want) {
				t.Errorf("faults:\n%v\nwant %q", faults, tt.want)
			}
		})
	}
	t.Run("all at once", func(t *testing.T) {
		t.Parallel()
		_, faults := Parse("x.yaml", []byte(good+"map: {emai: a}\nroles: [{set: phon, type: [x]}]\nsplits: a\n"))
		if len(faults) != 3 {
			t.Errorf("%d faults, want 3:\n%v", len(faults), faults)
		}
	})
}

func TestLibrary(t *testing.T) {
	t.Parallel()
	l := Builtin()
	names := []string{
		"asknicely", "bluemicrodot", "chattosurvey", "click4survey", "delighted", "feedbackspark", "formbricks", "googleforms", "jotform",
		"kobotoolbox", "limesurvey", "odk", "pollarix", "pollqr", "poltio", "popsee", "productfruits", "qualtrics", "questionpro",
		"refiner", "smartsurvey", "surveyjs", "surveymonkey", "survicate", "tally", "typeform", "wufoo",
	}
	if diff := cmp.Diff(names, l.Names()); diff != "" {
		t.Errorf("built-in profiles (-want +got):\n%s", diff)
	}
	const own = "source: pollqr\nverify: [{kind: none}]\ntype: {path: kind}\ndedupe: \"{id}\"\n"
	files := fstest.MapFS{
		"a.yaml":      {Data: []byte(own)},
		"b.yml":       {Data: []byte(strings.Replace(own, "pollqr", "mine", 1))},
		"notes.txt":   {Data: []byte("not a profile")},
		"deep/c.yaml": {Data: []byte("not: read")},
	}
	if faults, err := l.AddFiles(files); err != nil || len(faults) > 0 {
		t.Fatal(err, faults)
	}
	if p, ok := l.Profile("pollqr"); !ok || p.Type.Path.String() != "kind" {
		t.Errorf("a file did not take the built-in profile's place: %v", p)
	}
	if _, ok := l.Profile("mine"); !ok {
		t.Error("a file's profile is not there")
	}
	if p, _ := Builtin().Profile("pollqr"); p.Type.Path.String() != "event" {
		t.Error("another library changed")
	}
	faults := l.Add("c.yaml", []byte(own))
	if len(faults) != 1 || !strings.Contains(faults.Error(), "c.yaml: the profile pollqr is already defined by a.yaml") {
		t.Errorf("two files of one name: %v", faults)
	}
	if faults := l.Add("d.yaml", []byte("source: d\n")); len(faults) == 0 || !strings.Contains(faults.Error(), "d.yaml:1:1") {
		t.Errorf("a bad file: %v", faults)
	}
}

func TestAliases(t *testing.T) {
	t.Parallel()
	all := Builtin().Aliases()
	if n := len(all); n != 50 {
		t.Errorf("%d names of events", n)
	}
	got := map[string][]string{}
	want := map[string][]string{
		"SURVEY_COMPLETED": {"response.completed"}, "SURVEY_STATUS_CHANGED": {"survey.status_changed"}, "COUPON_REDEEMED": {"reward.redeemed"},
		"response.created": {"response.completed"}, "response.updated": {"response.updated"}, "survey.completed": {"survey.closed"},
		"response.completed":   {"response.completed"},
		"conversation.started": {"response.started"}, "conversation.completed": {"response.completed"},
		"question_response.upserted": {"answer.upserted"}, "test.webhook": {"test"},
		"form_response": {"response.completed"}, "FORM_RESPONSE": {"response.completed"}, "response_deleted": {"response.deleted"},
		"partial": {"response.partial"}, "Terminated": {"response.disqualified"}, "submission.update": {"response.reviewed"},
	}
	for own := range want {
		got[own] = all[own]
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	l := Builtin()
	if faults := l.Add("x.yaml", []byte("source: x\nverify: [{kind: none}]\ntype: {path: e, map: {survey.completed: response.completed}}\ndedupe: \"{id}\"\n")); len(faults) > 0 {
		t.Fatal(faults)
	}
	if diff := cmp.Diff([]string{"response.completed", "survey.closed"}, l.Aliases()["survey.completed"]); diff != "" {
		t.Errorf("a name of two platforms (-want +got):\n%s", diff)
	}
}

func TestHandshake(t *testing.T) {
	t.Parallel()
	s := inline(t, `
source: x
verify: [{kind: none}]
type: {path: e, map: {done: response.completed}}
dedupe: "{id}"
reply: 202
handshake:
  - {method: PUT, reply: 201, reply_body: "{query:challenge}/{header:X-Hook}"}
  - {when: {path: e, equals: ping}, reply: 200}
`)
	tests := []struct {
		method string
		reply  Reply
		ok     bool
	}{
		{"PUT", Reply{201, "abc/h"}, true},
		{"GET", Reply{Status: 200}, true},
		{"HEAD", Reply{Status: 200}, true},
		{"POST", Reply{}, false},
		{"DELETE", Reply{}, false},
	}
	for _, tt := range tests {
		req := request(nil, "X-Hook", "h")
		req.Method = tt.method
		req.Query = func(name string) string {
			if name == "challenge" {
				return "abc"
			}
			return ""
		}
		if reply, ok := s.Handshake(req); reply != tt.reply || ok != tt.ok {
			t.Errorf("%s: %+v %v, want %+v %v", tt.method, reply, ok, tt.reply, tt.ok)
		}
	}
	if ev := one(t, s, `{"e":"ping"}`); ev.Type != "test" {
		t.Errorf("a handshake in the body is %s", ev.Type)
	}
	if s.Reply() != 202 {
		t.Errorf("reply %d", s.Reply())
	}
}
