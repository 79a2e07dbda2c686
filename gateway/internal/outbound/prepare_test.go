package outbound

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

func TestAddField(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`:                            `{"api_key":"a\"b"}`,
		" {\n} ":                        `{"api_key":"a\"b"}`,
		`{"events":[{}]}`:               `{"events":[{}],"api_key":"a\"b"}`,
		"\n{ \"a\" : \"}\" \n}\r\n":     `{ "a" : "}","api_key":"a\"b"}`,
		`{"api_key":"of a respondent"}`: `{"api_key":"of a respondent","api_key":"a\"b"}`,
		``:                              "",
		`[]`:                            "",
		`{`:                             "",
		`"{}"`:                          "",
	} {
		given := []byte(body)
		got, err := addField(given, "api_key", `a"b`)
		if string(got) != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", body, got, err, want)
		}
		if string(given) != body {
			t.Errorf("%q was changed", body)
		}
	}
}

// TestSetReplacesEverySpelling: credentials stand over whatever a step wrote in their place.
func TestSetReplacesEverySpelling(t *testing.T) {
	t.Parallel()
	w := &wire{fields: []connectors.Field{
		{Name: "authorization", Value: "a"}, {Name: "X", Value: "x"}, {Name: "AUTHORIZATION", Value: "b"},
	}}
	w.set("Authorization", "Bearer t", true)
	w.set("x", "not this", false)
	w.set("Y", "y", false)
	want := []connectors.Field{{Name: "Authorization", Value: "Bearer t"}, {Name: "X", Value: "x"}, {Name: "Y", Value: "y"}}
	if len(w.fields) != len(want) {
		t.Fatalf("%v", w.fields)
	}
	for i := range want {
		if w.fields[i] != want[i] {
			t.Errorf("%v, want %v", w.fields[i], want[i])
		}
	}
}

func TestDialAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"https://a.example": "a.example:443", "http://a.example/": "a.example:80", "https://a.example:8443/x": "a.example:8443",
		"https://[2606:4700::1]/": "[2606:4700::1]:443", "http://[2606:4700::1]:81": "[2606:4700::1]:81",
	} {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := dialAddress(u); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// FuzzAnswer lets a peer answer anything: nothing panics, nothing beyond the limits is kept, both transports end.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 x\r\n\r\nHTTP/1.0 429\r\nRetry-After: 5\r\nRetry-After: 6\r\n\r\nwait",
		"HTTP/1.1 200 OK\r\nContent-Length: -1\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"HTTP/2.0 204 \r\n\r\n", "\r\n\r\n", "HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
	} {
		f.Add([]byte(text))
	}
	var answer []byte
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		c, b, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = b.Write(answer)
		_ = b.Flush()
		_ = c.Close()
	}))
	srv.Start()
	defer srv.Close()
	s := New(Options{Policy: Policy{AllowAddresses: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	defer s.Close()
	f.Fuzz(func(t *testing.T, text []byte) {
		answer = text
		for _, by := range []Transport{Fast, Std} {
			req := connectors.Post(srv.URL, []byte("{}")).As(connectors.Bearer(connectors.NewSecret("hush-hush")))
			res := s.Send(t.Context(), req, Attempt{Transport: by, Trusted: true})
			switch {
			case (res.Kind == Answered) != (res.Err == nil), (res.Kind == Answered) != (res.Response != nil):
				t.Fatalf("%s: %+v", by, res)
			case res.Response == nil:
				if !res.Reached {
					t.Fatalf("%s: %s: %v", by, res.Kind, res.Err)
				}
			case len(res.Response.Body) > BodyCap+len(connectors.Hidden) || res.Response.Status < 100 || res.Response.Status > 999:
				t.Fatalf("%s: status %d, %d bytes", by, res.Response.Status, len(res.Response.Body))
			default:
				_ = res.Response.Transcript()
				_ = connectors.ByStatus(res.Response)
			}
		}
	})
}
