//go:build contracts

package outbound

import (
	"bytes"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/connectors/connectortest/contract"
)

// undocumented are products that no vendor describes, and what holds them instead.
var undocumented = map[string]string{
	"webhook": "gateway/signature holds it against the platforms' published vectors",
}

const folder = "../../../connectors"

// documents are those in PRODUCT/testdata/contract, for a product without a pinned document or for operations that it lacks, and
// then the pinned ones. Whoever runs these tests wants them: without the documents they fail.
func documents(t *testing.T, product string) contract.Documents {
	t.Helper()
	specs, err := contract.ResolveFolder(os.Getenv(contract.EnvVar))
	if err != nil {
		t.Fatal(err)
	}
	all, err := contract.Load(specs, product)
	own := filepath.Join(folder, product, "testdata", "contract")
	if _, absent := os.Stat(own); absent == nil {
		more, err := contract.Load(own, product)
		if err != nil {
			t.Fatal(err)
		}
		return append(more, all...)
	}
	if err != nil {
		t.Fatalf("%v; write what the vendor's page documents as %s", err, filepath.Join("connectors", product, "testdata", "contract", product+".yaml"))
	}
	return all
}

// TestRequestsKeepTheirContracts holds every request that a transcript builds, and every one that proves settings,
// against its vendor's document: as it is sent, with its credentials on.
func TestRequestsKeepTheirContracts(t *testing.T) {
	t.Parallel()
	used := map[string]map[string]int{} // by product, the requests that each document met
	sender := New(Options{Tokens: someToken{}})
	for _, name := range connectors.Names() {
		product, action, _ := strings.Cut(name, ".")
		if undocumented[product] != "" {
			continue
		}
		docs := documents(t, product)
		if used[product] == nil {
			used[product] = map[string]int{}
		}
		for _, d := range docs {
			used[product][d.Name] += 0
		}
		files, err := filepath.Glob(filepath.Join(folder, product, "testdata", action, "*.txtar"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s has no transcripts (%v)", name, err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			requests, err := connectortest.Requests(name, text, connectortest.Bind)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if len(requests) == 0 {
				continue // a transcript of what is not sent
			}
			for _, req := range append(requests, checks(t, name, text)...) {
				d, err := docs.Check(onTheWire(t, sender, req), bodyOf(t, sender, req))
				if err != nil {
					t.Errorf("%s: %v", file, err)
					continue
				}
				used[product][d.Name]++
			}
		}
	}
	for product, met := range used {
		for name, n := range met {
			if n == 0 {
				t.Errorf("no request of %s is for the document %s", product, name)
			}
			t.Logf("%s: %d requests of %s", name, n, product)
		}
	}
}

// checks are the requests that prove a transcript's settings.
func checks(t *testing.T, name string, transcript []byte) []*connectors.Request {
	t.Helper()
	c, _ := connectors.New(name)
	checker, ok := c.(connectors.Checker)
	if !ok {
		return nil
	}
	for _, file := range txtar.Parse(transcript).Files {
		if file.Name == "config.yaml" {
			if err := connectortest.Bind(file.Data, c); err != nil {
				t.Fatal(err)
			}
		}
	}
	return checker.Check()
}

// someToken gives every request the same token. A relative URL is then on a host that matches every document.
type someToken struct{}

func (someToken) Token(context.Context, TokenRequest) (Token, error) {
	return Token{Access: connectors.NewSecret("token"), BaseURL: "https://instance.example"}, nil
}

func prepared(t *testing.T, s *Sender, req *connectors.Request) *wire {
	t.Helper()
	w, err := s.prepare(t.Context(), req, Attempt{DeliveryID: "dl_1", Trusted: true}, Policy{})
	if err != nil {
		t.Fatalf("%s: %v", req.Transcript(), err)
	}
	return w
}

func bodyOf(t *testing.T, s *Sender, req *connectors.Request) []byte {
	t.Helper()
	return prepared(t, s, req).body
}

// onTheWire is the request as its receiver reads it.
func onTheWire(t *testing.T, s *Sender, req *connectors.Request) *http.Request {
	t.Helper()
	w := prepared(t, s, req)
	r, err := http.NewRequestWithContext(t.Context(), w.method, w.url.String(), bytes.NewReader(w.body))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range w.fields {
		r.Header.Add(f.Name, f.Value)
	}
	return r
}

// TestWrongRequestsAreFound proves that each document finds something: PRODUCT/testdata/wrong holds requests as they
// would be sent and what is said of each. At least one of each document has all in its place but its body.
func TestWrongRequestsAreFound(t *testing.T) {
	t.Parallel()
	for _, product := range connectors.Names() {
		if strings.Contains(product, ".") || undocumented[product] != "" {
			continue
		}
		docs := documents(t, product)
		files, err := filepath.Glob(filepath.Join(folder, product, "testdata", "wrong", "*.txtar"))
		if err != nil {
			t.Fatal(err)
		}
		byBody := map[string]int{}
		for _, file := range files {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			parts := map[string]string{}
			for _, part := range archive.Files {
				parts[part.Name] = strings.TrimSpace(string(part.Data))
			}
			r, body, err := contract.Parse(parts["request"])
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			d, err := docs.Check(r, body)
			if err == nil {
				t.Errorf("%s: nothing is wrong with it", file)
				continue
			}
			if said := err.Error(); parts["fault"] == "" || !strings.Contains(said, parts["fault"]) {
				t.Errorf("%s: it is said\n%s\nwant\n%s", file, said, parts["fault"])
			}
			if d != nil && strings.Contains(err.Error(), "request body has an error") {
				byBody[d.Name]++
			}
		}
		for _, d := range docs {
			if d.TakesBodies() && byBody[d.Name] == 0 {
				t.Errorf("%s: no wrong request shows that the document %s looks at bodies", product, d.Name)
			}
		}
	}
}
