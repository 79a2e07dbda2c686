package source

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/event"
)

// sent is a request as a platform sends it, of which a test changes parts.
type sent struct {
	source  *Source
	body    []byte
	content string
	headers map[string]string // by name in lower case
	// stray is the value of every header and parameter that the platform did not send.
	stray string
}

// signedSample is the sample of a platform, signed for a source of it; false where the platform signs nothing.
func signedSample(t testing.TB, platform string) (sent, bool) {
	t.Helper()
	secret := "the secret of " + platform
	if platform == "formbricks" {
		secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	}
	s := open(t, profile(t, platform), Settings{
		Secrets: secrets(secret), Vars: map[string]connectors.Secret{"api_key": connectors.NewSecret("client")}, Unverified: true,
	})
	signs := slices.ContainsFunc(s.checks, func(c proof) bool { return c.scheme.Kind == KindHMAC })
	sample, err := NewSample(platform, Variation{Seed: "1", At: noon})
	if err != nil {
		t.Fatal(err)
	}
	return signedBody(t, s, sample), signs
}

// signedBody is a body as the platform would send it to a source.
func signedBody(t testing.TB, s *Source, sample Sample) sent {
	t.Helper()
	proved, fields, err := s.Prove(sample, noon)
	if err != nil {
		t.Fatal(err)
	}
	r := sent{source: s, body: proved.Body, content: proved.ContentType, headers: map[string]string{}}
	for _, f := range fields {
		r.headers[strings.ToLower(f.Name)] = f.Value
	}
	return r
}

func (r sent) request() *Request {
	req := request(r.body)
	req.ContentType = r.content
	req.Header = func(name string) string {
		if value, ok := r.headers[strings.ToLower(name)]; ok {
			return value
		}
		return r.stray
	}
	req.Query = func(string) string { return r.stray }
	return req
}

// identity is all that decides which event, which response and whose something is.
func identity(ev *event.Event) string {
	d := ev.Data()
	return fmt.Sprintf("%s key %q id %q survey %q response %q account %q respondent %q %q",
		ev.ID, ev.DedupeKey, ev.OrigID, ev.SurveyID, ev.ResponseID, d.Account.ID, d.Respondent.ID, d.Respondent.Email)
}

// taken is the identities of a request's events; false where its source refuses it.
func (r sent) taken(t testing.TB) (string, bool) {
	t.Helper()
	req := r.request()
	if _, err := r.source.Verify(req); err != nil {
		return "", false
	}
	events, err := r.source.Normalise(req, noon)
	if err != nil {
		return "", false
	}
	all := make([]string, len(events))
	for i, ev := range events {
		all[i] = identity(ev)
	}
	return strings.Join(all, "\n"), true
}

// TestOutsideTheProof: whatever of a signed request is changed and still passes its proof, it stays the same event of
// the same response. Everything is tried on the sample of every platform that signs: each byte of the body is changed,
// text is put before each, and everything that stands beside it is another.
func TestOutsideTheProof(t *testing.T) {
	t.Parallel()
	signing := 0
	for _, platform := range Builtin().Names() {
		sample, signs := signedSample(t, platform)
		if !signs {
			continue
		}
		signing++
		t.Run(platform, func(t *testing.T) {
			t.Parallel()
			want, ok := sample.taken(t)
			if !ok {
				t.Fatal("the sample itself is refused")
			}
			passed := 0
			try := func(what string, changed sent) {
				t.Helper()
				got, ok := changed.taken(t)
				if !ok {
					return
				}
				passed++
				if got != want {
					t.Errorf("%s makes another event of it:\n%s\nwant\n%s", what, got, want)
				}
			}
			with := func(body []byte) sent { r := sample; r.body = body; return r }
			every := 1
			if testing.Short() { // every place counts, and none of them has to do with goroutines
				every = 7
			}
			for at := 0; at <= len(sample.body) && !t.Failed(); at += every {
				for _, text := range []string{" ", "\n", "0", "a", "&a=b", ",", "\ufeff"} {
					try(fmt.Sprintf("%q at byte %d", text, at), with(slices.Insert(bytes.Clone(sample.body), at, []byte(text)...)))
				}
				if at < len(sample.body) {
					for _, c := range []byte(" 0aZ") {
						body := bytes.Clone(sample.body)
						body[at] = c
						try(fmt.Sprintf("%q in place of byte %d", c, at), with(body))
					}
				}
			}
			beside := sample
			beside.stray, beside.content = "stray", "multipart/form-data; boundary=stray"
			try("what stands beside the body", beside)
			if sample.source.Profile.Decode == DecodeForm {
				for _, name := range namesIn(sample.source.Profile) {
					for _, value := range []string{"", "stray", "2030-01-01 00:00:00", "b.controlpanel.deactivateSurvey.SV_2", "test"} {
						try(fmt.Sprintf("the field %s=%s", name, value), with(withField(sample.body, name, value)))
						more := url.QueryEscape(name) + "=" + url.QueryEscape(value)
						try(fmt.Sprintf("the field %s=%s more", name, value), with(append(append(bytes.Clone(sample.body), '&'), more...)))
						try(fmt.Sprintf("the field %s=%s before", name, value), with(append([]byte(more+"&"), sample.body...)))
					}
				}
			}
			if len(sample.source.checks[0].scheme.Candidates) > 0 && passed == 0 {
				t.Error("no change of white space passed")
			}
		})
	}
	if signing < 9 {
		t.Errorf("%d platforms that sign", signing)
	}
}

// namesIn are all words of a profile that could be the name of a field.
func namesIn(p *Profile) []string {
	text := p.Dedupe.String()
	for _, f := range p.fields {
		for _, path := range f.from.Paths {
			text += " " + path.String()
		}
	}
	for _, rule := range p.Type.Rules {
		text += " " + rule.When.Path.String()
	}
	text += " " + p.Type.Path.String() + " HMAC undefined"
	names := regexp.MustCompile(`[A-Za-z][A-Za-z0-9_]*`).FindAllString(text, -1)
	slices.Sort(names)
	return slices.Compact(names)
}

// TestQualtricsReplay: of one request that was captured come no more events, whatever stands beside its signed field.
func TestQualtricsReplay(t *testing.T) {
	t.Parallel()
	sample, _ := signedSample(t, "qualtrics")
	want, ok := sample.taken(t)
	if !ok {
		t.Fatal("the sample itself is refused")
	}
	for _, beside := range []url.Values{
		{"Topic": {"b.surveyengine.completedResponse.SV_2"}},
		{"Topic": {"b.controlpanel.deactivateSurvey"}},
		{"Topic": {"b.controlpanel.deactivateSurvey"}, "SurveyID": {"SV_2"}},
		{"ResponseID": {"R_2"}},
		{"SurveyID": {"SV_2"}},
		{"CompletedDate": {"2030-01-01 00:00:00"}},
		{"Status": {"Partial"}},
		{"BrandID": {"other"}, "RecipientID": {"other"}, "DistributionID": {"other"}},
		{"anything": {"at all"}},
	} {
		changed := sample
		for name := range beside {
			changed.body = withField(changed.body, name, beside.Get(name))
		}
		got, ok := changed.taken(t)
		if !ok || got != want {
			t.Errorf("%v: taken %v as\n%s\nwant\n%s", beside, ok, got, want)
		}
	}
}

// TestWhatIsReallyChecked: a source reads what its own checks vouch for, and not what its profile could ask for.
func TestWhatIsReallyChecked(t *testing.T) {
	t.Parallel()
	const flat = "Topic=b.surveyengine.completedResponse.SV_1&Status=Complete&SurveyID=SV_1&ResponseID=R_1&CompletedDate=2026-01-02+03%3A04%3A05&HMAC=00&MSG=%7B%22ResponseID%22%3A%22R_2%22%7D"
	p := profile(t, "qualtrics")
	token := []signature.Scheme{{Kind: KindToken, Header: "X-Token"}}
	for _, tt := range []struct {
		name     string
		settings Settings
		response string
		survey   string
	}{
		{"nothing", Settings{}, "R_2", "SV_1"},
		{"the path", Settings{PathToken: connectors.NewSecret(pathToken)}, "R_2", "SV_1"},
		{"a token of its own", Settings{Secrets: secrets("s3cret"), Verify: token}, "R_2", "SV_1"},
		{"the signature", Settings{Secrets: secrets("s3cret")}, "R_2", ""},
		{"the signature, and the path", Settings{Secrets: secrets("s3cret"), PathToken: connectors.NewSecret(pathToken)}, "R_2", ""},
	} {
		ev := one(t, open(t, p, tt.settings), flat)
		if ev.ResponseID != tt.response || ev.SurveyID != tt.survey || ev.Type != event.TypeResponseCompleted {
			t.Errorf("%s: %s of survey %q, response %q", tt.name, ev.Type, ev.SurveyID, ev.ResponseID)
		}
	}
	_, problems := New(Settings{Name: "x", Profile: profile(t, "wufoo"), Secrets: secrets("s3cret"), Verify: []signature.Scheme{
		{Kind: KindHMAC, Header: "X-Sign", Signed: "{field:EntryId}"},
	}})
	if len(problems) == 0 || problems[0].Setting != "verify" || !strings.Contains(problems[0].Message, "the profile wufoo does not fit these schemes: the dedupe key reads `FormStructure.Hash`") {
		t.Errorf("a proof that leaves out what its profile reads: %v", problems)
	}
}

// TestSignedWithoutWhiteSpace: where the white space of a body is not signed, it makes no other event, also where the
// body's hash stands in the key.
func TestSignedWithoutWhiteSpace(t *testing.T) {
	t.Parallel()
	const head = "source: x\nverify: [{kind: hmac, header: X-Sign, candidates: [raw, compact]}]\ntype: {const: c, default: response.completed}\n"
	for _, text := range []string{
		head + "dedupe: \"{sha256}\"\nmap: {response.id: id}\n",
		head + "dedupe: \"{id}:{none}\"\nmap: {response.id: id}\n",
		head + "dedupe: \"{none}\"\nmap: {response.id: id}\n",
		head + "split: list\ndedupe: \"{sha256}\"\nmap: {response.id: id}\n",
	} {
		p, faults := Parse("x.yaml", []byte(text))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		s := open(t, p, Settings{Secrets: secrets("s3cret")})
		compact := signedBody(t, s, Sample{Body: []byte(`{"id":1,"list":[{"id":1},{"id":2}]}`)})
		want, ok := compact.taken(t)
		if !ok {
			t.Fatal("the request is refused")
		}
		spread := compact
		spread.body = []byte("{\"id\":1,\n \"list\": [{\"id\" : 1},\t{\"id\":2 } ] }")
		if got, ok := spread.taken(t); !ok || got != want {
			t.Errorf("taken %v as\n%s\nwant\n%s", ok, got, want)
		}
	}
}

// TestBoundaryIsNotSigned: of a multipart form whose body is signed the boundary is the body's own.
func TestBoundaryIsNotSigned(t *testing.T) {
	t.Parallel()
	p, faults := Parse("x.yaml", []byte("source: x\ndecode: multipart\nverify: [{kind: hmac, header: X-Sign}]\ntype: {const: c, default: response.completed}\ndedupe: \"{id}\"\n"))
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	s := open(t, p, Settings{Secrets: secrets("s3cret")})
	inner := "--other\r\nContent-Disposition: form-data; name=\"id\"\r\n\r\n2\r\n--other--\r\n"
	r := signedBody(t, s, Sample{Body: []byte(formPart("id", "1") + formPart("text", inner) + "--b--\r\n"), ContentType: "multipart/form-data; boundary=b"})
	want, ok := r.taken(t)
	r.content = "multipart/form-data; boundary=other"
	if got, again := r.taken(t); !ok || !again || got != want {
		t.Errorf("taken %v and %v as\n%s\nwant\n%s", ok, again, got, want)
	}
}

// TestTwice: a place of a proof that stands twice is refused, with the reason for the operator alone.
func TestTwice(t *testing.T) {
	t.Parallel()
	const rest = "\ntype: {const: c, default: response.completed}\ndedupe: \"{sha256}\"\n"
	part := func(name, value string) string { return formPart(name, value) }
	for _, tt := range []struct {
		name, profile, body string
		twice               []string
		why                 string
	}{
		{"a header", "verify: [{kind: token, header: X-Key}]", `{}`, []string{"x-key"}, "the header `X-Key` occurs twice"},
		{"a signature", "verify: [{kind: hmac, header: X-Sign}]", `{}`, []string{"x-sign"}, "the header `X-Sign` occurs twice"},
		{"a signed header", "verify: [{kind: hmac, header: X-Sign, signed: \"{header:webhook-id}.{timestamp}.{body}\", timestamp: {header: webhook-timestamp}}]", `{}`, []string{"webhook-id"}, "the header `webhook-id` occurs twice"},
		{"a signed time", "verify: [{kind: hmac, header: X-Sign, signed: \"{timestamp}.{body}\", timestamp: {header: webhook-timestamp}}]", `{}`, []string{"webhook-timestamp"}, "the header `webhook-timestamp` occurs twice"},
		{"user and password", "verify: [{kind: basic}]", `{}`, []string{"authorization"}, "the header `Authorization` occurs twice"},
		{"a parameter", "verify: [{kind: token, query: key}]", `{}`, []string{"key"}, "the query parameter `key` occurs twice"},
		{"in JSON", "verify: [{kind: token, path: api.key}]", `{"api":{"key":"jo:s3cret","key":"x"}}`, nil, "the place `api.key` of the body occurs twice"},
		{"on the way in JSON", "verify: [{kind: token, path: api.key}]", `{"api":{"key":"jo:s3cret"},"\u0061pi":{"key":"x"}}`, nil, "the place `api.key` of the body occurs twice"},
		{"in a form", "decode: form\nverify: [{kind: token, field: key}]", `key=jo:s3cret&a=1&k%65y=x`, nil, "the form field `key` occurs twice"},
		{"in a multipart form", "decode: multipart\nverify: [{kind: token, field: key}]", part("key", "jo:s3cret") + part("key", "x") + "--b--\r\n", nil, "the form field `key` occurs twice"},
		{"the signature of a form", "decode: form\nverify: [{kind: hmac, field: S, signed: \"{field:M}\"}]", `M=1&S=00&S=01`, nil, "the form field `S` occurs twice"},
		{"the signed field of a form", "decode: form\nverify: [{kind: hmac, field: S, signed: \"{field:M}\"}]", `M=1&S=00&M=2`, nil, "the form field `M` occurs twice"},
	} {
		p, faults := Parse("x.yaml", []byte("source: x\n"+tt.profile+rest))
		if len(faults) > 0 {
			t.Fatal(tt.name, faults)
		}
		s := open(t, p, Settings{Secrets: secrets("jo:s3cret"), AcceptTest: time.Hour, Loaded: noon})
		req := request([]byte(tt.body), "X-Key", "jo:s3cret", "Authorization", "Basic am86czNjcmV0")
		req.Query = func(string) string { return "jo:s3cret" }
		req.ContentType = contentTypes[p.Decode] + "; boundary=b"
		again := func(name string) bool { return slices.Contains(tt.twice, strings.ToLower(name)) }
		req.HeaderTwice, req.QueryTwice = again, again
		if _, err := s.Verify(req); !errors.Is(err, ErrRefused) || !strings.HasSuffix(err.Error(), tt.why) {
			t.Errorf("%s: %v, want %s", tt.name, err, tt.why)
		}
		if checks := s.Inspect(req); len(checks) != 1 || checks[0].Passed || checks[0].Reason != tt.why {
			t.Errorf("%s: inspected as %+v", tt.name, checks)
		}
	}
}

// TestHintSaysTheTypeAlone: what a hint says makes no other event and no other response of a request.
func TestHintSaysTheTypeAlone(t *testing.T) {
	t.Parallel()
	s := open(t, profile(t, "qualtrics"), Settings{Secrets: secrets("s3cret")})
	msg := url.Values{"MSG": {`{"SurveyID":"SV_1","BrandID":"b"}`}}.Encode()
	ids := map[string]bool{}
	for topic, want := range map[string]string{
		"":                                     event.TypeUnknown,
		"b.threesixty.created":                 event.TypeUnknown,
		"b.controlpanel.activateSurvey":        event.TypeSurveyStatusChanged,
		"b.controlpanel.deactivateSurvey":      event.TypeSurveyClosed,
		"b.surveyengine.completedResponse.S_1": event.TypeResponseCompleted,
	} {
		r := signedBody(t, s, Sample{Body: []byte(msg + "&" + url.Values{"Topic": {topic}}.Encode()), ContentType: contentTypes[DecodeForm]})
		req := r.request()
		if _, err := s.Verify(req); err != nil {
			t.Fatal(err)
		}
		events, err := s.Normalise(req, noon)
		if err != nil {
			t.Fatal(err)
		}
		if events[0].Type != want {
			t.Errorf("%q makes %s of it, want %s", topic, events[0].Type, want)
		}
		ids[identity(events[0])] = true
	}
	if len(ids) != 1 {
		t.Errorf("%d events of one signed field: %v", len(ids), ids)
	}
}
