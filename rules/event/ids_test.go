package event

import (
	"errors"
	"strings"
	"testing"
)

// An id with invalid bytes could be confused with another one. It is refused in every field and in every form of an event.
func TestIDsAreText(t *testing.T) {
	t.Parallel()
	bad := []string{"a\xff", "a\xfe", "a\\ud800", "a\\udc00", "\xed\xa0\x80", `\ud83d\ud83d`}
	places := map[string]string{
		"id": `{"type":"test","id":"BAD"}`, "source": `{"specversion":"1.0","type":"test","id":"1","source":"BAD"}`, "tenant": `{"type":"test","tenant":"BAD"}`,
		"survey.id": `{"type":"test","survey":{"id":"BAD"}}`, "response.id": `{"type":"test","response":{"id":"BAD"}}`,
		"account.id": `{"type":"test","account":{"id":"BAD"}}`, "respondent.id": `{"type":"test","respondent":{"id":"BAD"}}`,
		"respondent.external_id": `{"type":"test","respondent":{"external_id":"BAD"}}`, "context.collector_id": `{"type":"test","context":{"collector_id":"BAD"}}`,
		"dedupekey": `{"specversion":"1.0","type":"test","id":"1","source":"a","dedupekey":"BAD"}`,
		"origid":    `{"specversion":"1.0","type":"test","id":"1","source":"a","origid":"BAD"}`,
	}
	refused := func(way, path, id string, err error) {
		t.Helper()
		fault, ok := errors.AsType[*FieldError](err)
		if !ok || fault.Path != path || !strings.HasPrefix(fault.Problem, "is no text") {
			t.Errorf("%s, %s as %q: %v", way, path, id, err)
		}
	}
	for path, template := range places {
		for _, id := range bad {
			body := []byte(strings.ReplaceAll(template, "BAD", id))
			_, err := ParseOne(body, defaults)
			refused("alone", path, id, err)
			for way, many := range map[string]string{"in an array": "[%,%]", "in lines": "%\n%\n"} {
				all, err := ParseMany([]byte(strings.ReplaceAll(many, "%", string(body))), defaults)
				if err != nil || len(all) != 2 {
					t.Fatal(way, len(all), err)
				}
				for _, one := range all {
					refused(way, path, id, one.Err)
				}
			}
			if strings.Contains(template, "specversion") {
				all, err := ParseBatch([]byte("["+string(body)+"]"), defaults)
				if err != nil || len(all) != 1 {
					t.Fatal(err)
				}
				refused("in a batch", path, id, all[0].Err)
			}
		}
	}
	for _, name := range []string{"id", "source", "tenant", "dedupekey", "origid"} {
		for _, value := range []string{"a%FF", "a%FE", "%ED%A0%80", "a\xff", `"a%FF"`} {
			attributes := map[string]string{"specversion": "1.0", "id": "x", "type": "test", "source": "app"}
			attributes[name] = value
			_, err := ParseBinary(func(name string) string { return attributes[name] }, nil, defaults)
			refused("in headers", name, value, err)
		}
	}
	// What is text stays what it is.
	for _, id := range []string{`é`, `\u00e9`, `\ud83d\ude00`, `\\ud800`, "\uFFFD", `a b`} {
		if _, err := ParseOne([]byte(`{"type":"test","id":"`+id+`","response":{"id":"`+id+`"}}`), defaults); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// The four required attributes of a CloudEvent cannot be replaced by its data.
func TestCloudEventsHaveTheirAttributes(t *testing.T) {
	t.Parallel()
	all := []string{"specversion", "id", "source", "type"}
	values := map[string]string{"specversion": "1.0", "id": "1", "source": "app", "type": "test"}
	for _, missing := range all {
		for _, instead := range []string{"", `"` + missing + `":"",`, `"` + missing + `":null,`} {
			body := `{` + instead
			for _, name := range all {
				if name != missing {
					body += `"` + name + `":"` + values[name] + `",`
				}
			}
			body += `"data":{"type":"test","id":"1","source":"app"}}`
			if missing == "specversion" && instead == "" {
				body = strings.Replace(body, `"data":{"type":"test","id":"1","source":"app"}`, `"data":{}`, 1)
			}
			_, err := ParseStructured([]byte(body), defaults)
			fault, ok := errors.AsType[*FieldError](err)
			if !ok || fault.Path != missing {
				t.Errorf("without %s (%s): %v", missing, instead, err)
			}
		}
		_, err := ParseBinary(func(name string) string {
			if name == missing {
				return ""
			}
			return values[name]
		}, []byte(`{"type":"test","id":"1","source":"app"}`), defaults)
		if fault, ok := errors.AsType[*FieldError](err); !ok || fault.Path != missing {
			t.Errorf("without %s in headers: %v", missing, err)
		}
	}
}

// A duplicate key in an answer is refused.
func TestDuplicateAnswers(t *testing.T) {
	t.Parallel()
	for _, key := range answerKeys {
		body := `{"type":"test","response":{"answers":[{"question_id":"q","` + key + `":"1","` + key + `":"2"}]}}`
		_, err := ParseOne([]byte(body), defaults)
		if fault, ok := errors.AsType[*FieldError](err); !ok || fault.Path != "response.answers.0."+key || fault.Problem != "stands twice" {
			t.Errorf("%s: %v", key, err)
		}
	}
	_, err := ParseOne([]byte(`{"type":"test","response":{"answers":{"q":1,"q":2}}}`), defaults)
	if fault, ok := errors.AsType[*FieldError](err); !ok || fault.Path != "response.answers.q" || fault.Problem != "stands twice" {
		t.Error(err)
	}
}

// A duplicate attribute is refused, because a proxy may read the other one.
func TestDuplicateAttributes(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"id", "type", "source", "time", "tenant", "dedupekey", "origid", "origtype", "sourcekind", "specversion", "data"} {
		values := map[string]string{
			"specversion": `"1.0"`, "type": `"response.completed"`, "source": `"/tenants/default/sources/api"`, "id": `"1"`,
			"time": `"2026-01-02T03:04:05Z"`, "tenant": `"default"`, "data": `{}`,
		}
		value := values[name]
		if value == "" {
			value = `"x"`
		}
		body := `{"specversion":"1.0","type":"response.completed","source":"/tenants/default/sources/api","id":"1"`
		if name != "specversion" && name != "type" && name != "source" && name != "id" {
			body += `,"` + name + `":` + value
		}
		body += `,"` + name + `":` + value + `}`
		_, err := ParseStructured([]byte(body), defaults)
		if want := "`" + name + "` stands twice"; err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", body, err, want)
		}
	}
}
