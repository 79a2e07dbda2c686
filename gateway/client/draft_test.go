package client

import (
	"errors"
	"strings"
	"testing"
)

func draft(t *testing.T, text string) *Draft {
	t.Helper()
	values := map[string]string{"BRACES": "a${b}", "PLUS": "+49170", "TRUE": "True", "NUMBER": "12"}
	d, err := ReadDraft("file.yaml", []byte(text), Lookup{
		Env:  func(name string) (string, bool) { v, ok := values[name]; return v, ok },
		File: func(string) ([]byte, error) { return []byte("of a file\n"), nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What is sent has the characters that were written: what a variable holds is not expanded again, and is no number with another form.
func TestDraftIsSentAsItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a: ${BRACES}":                        `{"a":"a$${b}"}`,
		"a: $${b} and ${BRACES}":              `{"a":"$${b} and a$${b}"}`,
		"a: $$${b}":                           `{"a":"$$${b}"}`,
		"a: ${PLUS}":                          `{"a":"+49170"}`,
		"a: ${TRUE}":                          `{"a":"True"}`,
		"a: ${NUMBER}":                        `{"a":12}`,
		"a: ${file:/run/secrets/a}":           `{"a":"of a file"}`,
		"a: [007, 1.5, true, ~, 'true']":      `{"a":["007",1.5,true,null,"true"]}`,
		"{b: 1, a: {c: &x [1], d: *x}}":       `{"b":1,"a":{"c":[1],"d":[1]}}`,
		`{"a": "\ud83d\ude00 ${BRACES} $${"}`: `{"a":"😀 a$${b} $${"}`,
		"":                                    `{}`,
	} {
		if got := string(draft(t, text).JSON()); got != want {
			t.Errorf("%s is sent as %s, want %s", text, got, want)
		}
	}
	if got := string(draft(t, "title: $${a}").Plain()); got != `{"title":"${a}"}` {
		t.Errorf("a tenant's title is sent as %s", got)
	}
}

// A fault of the API is shown at its value, or at the key that it is about, or at the last value on the way to it.
func TestDraftLocatesFaults(t *testing.T) {
	t.Parallel()
	d := draft(t, "url: https://a.example/\nwhen: a >= 1 and\n  b == 2\nheaders: {X: \"${BRACES}\", token: of-a-person}\nsend: [crm, {mail: {text: x}}]\n")
	for _, c := range []struct {
		detail Detail
		want   string
	}{
		{Detail{Msg: "`b` is no name; did you mean c?", Loc: []string{"when"}, At: []int{11, 12}}, "file.yaml:3:3: `b` is no name\n    3 |   b == 2\n      |   ^ did you mean c?"},
		{Detail{Msg: "no", Loc: []string{"send", "1", "mail", "text"}}, "file.yaml:5:27: no\n"},
		{Detail{Msg: "`subject` is missing", Loc: []string{"send", "1", "mail", "subject"}}, "file.yaml:5:20: `subject` is missing\n"},
		{Detail{Msg: "there is no field of this name here", Loc: []string{"text"}}, "file.yaml:5:21: there"},
		{Detail{Msg: "it is refused", Loc: []string{"headers", "token"}}, "file.yaml:4:34: it is refused\n    4 | headers: {X: \"${BRACES}\", token: ***********}"},
		{Detail{Msg: "`url` is missing; add it", Loc: []string{"nowhere"}}, "file.yaml: `url` is missing\n    add it"},
		{Detail{Msg: "nothing is well"}, "file.yaml: nothing is well"},
	} {
		err := d.Located(&APIError{Status: 422, Detail: []Detail{c.detail}})
		if !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v is shown as\n%v\nwant\n%s", c.detail, err, c.want)
		}
		if refused, ok := errors.AsType[*APIError](err); !ok || refused.Status != 422 {
			t.Errorf("the status is lost: %v", err)
		}
	}
	for _, other := range []error{
		&APIError{Status: 412, Detail: []Detail{{Msg: "another version", Loc: []string{"If-Match"}}}},
		&APIError{Status: 403, Detail: []Detail{{Msg: "too many", Type: "plan_restriction", Loc: []string{"when"}}}},
		ErrNotRunning,
	} {
		if got := d.Located(other); got.Error() != other.Error() {
			t.Errorf("%v became %v", other, got)
		}
	}
}

// A variable that is not set is a fault at its place, and no secret beside it is shown.
func TestDraftNeedsItsVariables(t *testing.T) {
	t.Parallel()
	_, err := ReadDraft("file.yaml", []byte("token: {a: of-a-person, b: \"x${NONE}\"}\n"), Lookup{Env: func(string) (string, bool) { return "", false }})
	if err == nil || !strings.HasPrefix(err.Error(), "file.yaml:1:30: `NONE` is not set") || strings.Contains(err.Error(), "of-a-person") {
		t.Error(err)
	}
	for _, text := range []string{"- a", "a: ${", "a: 1\na: 2", "\x00", `["a"]`} {
		if _, err := ReadDraft("file.yaml", []byte(text), Lookup{}); err == nil || !strings.HasPrefix(err.Error(), "file.yaml") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
