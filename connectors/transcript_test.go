package connectors_test

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
)

func TestRequestTranscript(t *testing.T) {
	t.Parallel()
	hush := connectors.NewSecret("hush")
	for name, c := range map[string]struct {
		req  *connectors.Request
		want string
	}{
		"secret address": {
			connectors.Post("", []byte(`{"content":"a<b","list":[1,2.50]}`)).As(connectors.Address(hush)),
			"POST [secret]\n\n{\n  \"content\": \"a<b\",\n  \"list\": [\n    1,\n    2.50\n  ]\n}\n",
		},
		"headers": {
			connectors.Put("https://api.example/x?y=1", []byte(`{}`)).With("Accept", "text/plain").WithSecret("X-Custom", hush).As(connectors.Bearer(hush)),
			"PUT https://api.example/x?y=1\nAccept: text/plain\nX-Custom: [secret]\n\n{}\n",
		},
		"no body": {connectors.Get("https://api.example/x"), "GET https://api.example/x\n"},
		"no JSON": {
			connectors.Post("https://api.example/x", []byte("a=1\nb=2\n")).With("Content-Type", "text/plain"),
			"POST https://api.example/x\nContent-Type: text/plain\n\na=1\nb=2\n",
		},
		"half JSON": {connectors.Post("https://api.example/x", []byte(`{"a":`)), "POST https://api.example/x\n\n{\"a\":\n"},
	} {
		if diff := cmp.Diff(c.want, string(c.req.Transcript())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestResponseTranscript(t *testing.T) {
	t.Parallel()
	res := &connectors.Response{
		Status: 429,
		Header: http.Header{
			"Retry-After": {"2"}, "Date": {"now"}, "Set-Cookie": {"session=hush"}, "Content-Length": {"9"},
			"Content-Type": {"application/json"}, "X-Two": {"a", "b"},
		},
		Body: []byte(`{"a":1}`), Truncated: true,
	}
	want := "429\nContent-Type: application/json\nRetry-After: 2\nX-Two: a\nX-Two: b\n\n{\n  \"a\": 1\n}\n…\n"
	if diff := cmp.Diff(want, string(res.Transcript())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := string((&connectors.Response{Status: 204}).Transcript()); got != "204\n" {
		t.Errorf("%q", got)
	}
}
