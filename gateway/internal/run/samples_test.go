package run

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/offline"
)

// TestSamplesOfEveryPlatform sends the sample of every platform that ships to a running gateway: proved to its URL, as
// the platform would, and published with our token, as `emit --sample` does.
func TestSamplesOfEveryPlatform(t *testing.T) {
	t.Parallel()
	const token = "0123456789abcdefghijkl"
	var text strings.Builder
	text.WriteString("sources:\n")
	paths := map[string]string{}
	for _, p := range config.Platforms() {
		paths[p.Name] = "/in/" + p.Name
		if !p.Secrets {
			paths[p.Name] += "/" + token
			fmt.Fprintf(&text, "  %s: {profile: %s, path_token: %s}\n", p.Name, p.Name, token)
			continue
		}
		fmt.Fprintf(&text, "  %s: {profile: %s, secrets: [%q], vars: {", p.Name, p.Name, hookSecret)
		for _, name := range p.Vars {
			fmt.Fprintf(&text, "%s: client", name)
		}
		text.WriteString("}}\n")
	}
	if len(paths) != len(offline.Samples()) {
		t.Fatalf("%d platforms and %d samples", len(paths), len(offline.Samples()))
	}
	s := newSite(t)
	s.writeText(text.String())
	s.start()
	defer http.DefaultClient.CloseIdleConnections()
	for _, name := range offline.Samples() {
		sample, err := offline.NewSignedSample(offline.Options{Config: s.options.Config, Env: s.options.Env}, name, 3)
		if err != nil {
			t.Fatal(err)
		}
		send := func(body []byte) (int, client.Answer) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.started.Address+paths[name], bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			for header, value := range sample.Headers {
				req.Header.Set(header, value)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			said, err := io.ReadAll(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := client.ParseAnswer(said)
			return res.StatusCode, answer
		}
		if status, answer := send(sample.Body); status != http.StatusOK || answer.Status != "accepted" {
			t.Errorf("%s: %d %+v", name, status, answer)
		}
		if status, answer := send(sample.Body); status != http.StatusOK || answer.Status != "duplicate" {
			t.Errorf("%s again: %d %+v", name, status, answer)
		}
		body, err := offline.Sample(name)
		if err != nil {
			t.Fatal(err)
		}
		published, err := s.client.Publish(t.Context(), name, body)
		if err != nil || len(published) != 1 || published[0].Status != "accepted" {
			t.Errorf("%s published: %+v, %v", name, published, err)
		}
	}
}
