package settings

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// The secrets of the document that FuzzMasks changes. None of them may be in an answer, and no mask in the store.
var fuzzSecrets = []string{"fuzz-header-secret-0001", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="}

const fuzzHook = `{"url": "https://a.example.com/", "events": ["response.completed"], "body": {"a": "'b'"}, ` +
	`"secrets": ["whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "whsec_ZmVkY2JhOTg3NjU0MzIxMGZlZGNiYTk4NzY1NDMyMTA="], ` +
	`"headers": {"X-Key": "fuzz-header-secret-0001", "X-Other": "other"}}`

// FuzzMasks sends a document with masks in any place, as a whole or as a patch, in JSON or YAML: no stored document holds a mask or a
// hint as a value, no secret is lost or moves to another place, and no answer, refusal or line of the audit holds a secret. In the text
// that is sent, MASK, OTHER and ID stand for what was shown.
func FuzzMasks(f *testing.F) {
	for _, text := range []string{
		`{"headers": {"X-Key": "MASK"}}`, `{"headers": {"X-Other": "MASK"}}`, `{"headers": {"MASK": "x"}}`, `{"headers": {"X-Key": "a MASK b"}}`,
		`{"headers": {"X-Key": "OTHER"}}`, `{"headers": {"X-Key": {"MASK": 1}}}`, `{"url": "https://a.example.com/MASK"}`, `{"events": ["MASK"]}`,
		`{"secrets": [{"id": "ID"}]}`, `{"secrets": ["MASK", {"id": "ID"}]}`, `{"secrets": [{"id": "ID", "hint": "x"}]}`, `{"secrets": {"id": "ID"}}`,
		`{"secrets": [[{"id": "ID"}]]}`, `{"body": {"a": "MASK"}}`, `{"body": {"MASK": "a"}}`, `{"when": "email == 'MASK'"}`, `{"MASK": null}`,
		"headers:\n  X-Key: MASK\n", "headers: {X-Key: !!str MASK}\nsecrets: [{id: ID}]\n", "headers:\n  ? MASK\n  : x\n", "headers: &a {X-Key: MASK}\n",
		`{"headers": {"X-Key": "\u2022\u2022\u2022\u2022\u2022\u2022\u2022\u2022-00000000"}}`, `{"headers": null}`, `{"headers": {"X-Key": null}}`,
		fuzzHook, `{"url": "https://a.example.com/", "headers": {"X-Key": "MASK"}, "secrets": [{"id": "ID"}]}`, `"MASK"`, `[]`, ``, `{`,
	} {
		f.Add(text, true)
		f.Add(text, false)
	}
	b := newBook(f, local(f))
	var tenants atomic.Int64
	f.Fuzz(func(t *testing.T, text string, patch bool) {
		tenant := fmt.Sprint("t", tenants.Add(1)) // one store for all, which would take most of the time
		one := func(c Change) (Result, error) {
			results, err := b.Apply(t.Context(), tenant, []Change{c}, byTest)
			if err != nil {
				return Result{}, err
			}
			return results[0], nil
		}
		if _, err := one(Change{Name: "webhook/a", Spec: []byte(fuzzHook)}); err != nil {
			t.Fatal(err)
		}
		shown, err := b.Get(t.Context(), tenant, "webhook/a")
		if err != nil {
			t.Fatal(err)
		}
		var spec struct {
			Headers map[string]string
			Secrets []Secret
		}
		if err := json.Unmarshal(shown.Spec, &spec); err != nil {
			t.Fatal(err)
		}
		sent := strings.NewReplacer("MASK", spec.Headers["X-Key"], "OTHER", spec.Headers["X-Other"], "ID", spec.Secrets[1].ID).Replace(text)
		if strings.Contains(sent, "fuzz-header") && patch || strings.Contains(text, "…") {
			return // it gives secrets itself
		}
		result, err := one(Change{Name: "webhook/a", Spec: []byte(sent), Patch: patch})
		answers := fmt.Sprintf("%v %s", err, result.Entry.Spec)
		after, getErr := b.Get(t.Context(), tenant, "webhook/a")
		if getErr != nil {
			t.Fatal(getErr)
		}
		answers += string(after.Spec) + fmt.Sprint(after.Faults, after.Warnings)
		lines, auditErr := b.Audit.Lines(t.Context(), tenant, 0, -1)
		if auditErr != nil {
			t.Fatal(auditErr)
		}
		for _, l := range lines {
			answers += string(l.Before) + string(l.After)
		}
		given := strings.ReplaceAll(text, fuzzHook, "")
		for _, secret := range fuzzSecrets {
			if strings.Contains(answers, secret) && !strings.Contains(given, secret) {
				t.Errorf("a secret is shown: %s", answers)
			}
		}
		all, docErr := b.documents(t.Context(), tenant)
		if docErr != nil {
			t.Fatal(docErr)
		}
		r := all["webhook/a"]
		if strings.Contains(string(r.Spec), dots) {
			t.Errorf("a mask is stored: %s", r.Spec)
		}
		for path, secret := range r.Secrets {
			switch value := secret.Expose(); {
			case isMask(value), strings.HasPrefix(path, "secrets.") && isHint(value):
				t.Errorf("a mask is stored at %s: %s", path, value)
			case value == fuzzSecrets[0] && path != "headers.X-Key" && !strings.Contains(given, value):
				t.Errorf("a secret moved to %s", path)
			}
		}
	})
}
