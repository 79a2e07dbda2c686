package main

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors/connectortest/contract"
)

// fake is a product, or a webhook, that remembers what it was told. Where the vendors' documents are given it holds
// every request against them, as the vendor would.
type fake struct {
	url string

	mu     sync.Mutex
	told   map[string]int         // by what tells one thing from another
	times  map[string][]time.Time // of attempts, by delivery
	bodies map[string]string
	faults []string
	came   chan struct{}
}

// reading is a request and its body.
type reading struct {
	*http.Request
	body []byte
}

func (r *reading) json(t *testing.T) (v map[string]any) {
	if err := json.Unmarshal(r.body, &v); err != nil {
		t.Errorf("%s %s: the body is no JSON: %v", r.Method, r.URL.Path, err)
	}
	return v
}

// newFake serves a product by answer, which says what it was told; `told` without words says that it refused.
func newFake(t *testing.T, product string, answer func(w http.ResponseWriter, r *reading) (told []string)) *fake {
	t.Helper()
	f := &fake{told: map[string]int{}, times: map[string][]time.Time{}, bodies: map[string]string{}, came: make(chan struct{}, 1)}
	var docs contract.Documents
	if given := os.Getenv(contract.EnvVar); given != "" && product != "" {
		folder, err := contract.ResolveFolder(given)
		if err != nil {
			t.Fatal(err)
		}
		if docs, err = contract.Load(folder, product); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		id := r.Header.Get("webhook-id")
		f.mu.Lock()
		f.times[id] = append(f.times[id], time.Now())
		if docs != nil {
			if _, err := docs.Check(r, body); err != nil {
				f.faults = append(f.faults, err.Error())
			}
		}
		f.mu.Unlock()
		told := answer(w, &reading{r, body})
		f.mu.Lock()
		for _, what := range told {
			f.told[what]++
			f.bodies[what] = string(body)
		}
		f.mu.Unlock()
		select {
		case f.came <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// await waits until the fake was told of everything wanted, and says when it was told of something twice or of more.
func (f *fake) await(t *testing.T, name string, things []string) {
	t.Helper()
	want := map[string]int{}
	for _, what := range things {
		want[what] = 1
	}
	for end := time.After(patience); ; {
		f.mu.Lock()
		n, diff := len(f.told), cmp.Diff(want, f.told)
		f.mu.Unlock()
		if n >= len(want) {
			if diff != "" {
				t.Errorf("%s was told (-want +got):\n%s", name, diff)
			}
			return
		}
		select {
		case <-f.came:
		case <-end:
			t.Fatalf("%s was told (-want +got):\n%s", name, diff)
		}
	}
}

func (f *fake) check(t *testing.T, name string) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, fault := range f.faults {
		t.Errorf("%s was told against its vendor's document: %s", name, fault)
	}
}

const (
	pollqrSecret = "pollqr-secret-of-this-test"
	popseeSecret = "popsee-secret-of-this-test"
)

func now() string { return time.Now().UTC().Add(-time.Minute).Format("2006-01-02T15:04:05.000Z") }

// memberOf is Mailchimp's name for an address.
func memberOf(address string) string {
	sum := md5.Sum([]byte(address))
	return hex.EncodeToString(sum[:])
}
