package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// Products that can are asked to erase the person, each by a delivery that is retried; those that cannot are listed for doing it by hand.
// What they were asked with is erased too. Killed while a product is down, the gateway asks it again.
func TestEraseInProducts(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		eraseInProducts(t, nil)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		eraseInProducts(t, redistest.Start(t, append([]string{"--rdbcompression", "no", "--auto-aof-rewrite-percentage", "0"}, redistest.Durable...)...))
	})
}

func eraseInProducts(t *testing.T, server *redistest.Server) {
	var mu sync.Mutex
	var asked []string
	down := true
	product := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, r.Method+" "+r.URL.Path+" "+string(body))
		switch {
		case strings.HasSuffix(r.URL.Path, "/gdpr-delete") && down:
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/gdpr-delete"):
			w.WriteHeader(http.StatusNoContent)
		default:
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"type":"https://mailchimp.com/developer/marketing/docs/errors/","title":"Resource Not Found","status":404,"detail":"none","instance":"x"}`)
		}
	}))
	t.Cleanup(product.Close)
	engine := ""
	if server != nil {
		engine = fmt.Sprintf("redis: %q\n", server.URL())
	}
	config := engine + fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: all, secret: %q, scopes: [publish, read, write, admin]}]
connections:
  crm: {hubspot: {token: pat-eu1-test, base_url: %q}, retry: [1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s, 1s]}
  list: {mailchimp: {api_key: 0123456789abcdef-us6, audience: a1b2c3d4e5, base_url: "%[2]s/3.0"}}
  alarms: {slack: {webhook: "https://hooks.slack.com/services/T0000/B0000/XXXX"}}
`, testToken, product.URL)
	dir := t.TempDir()
	p := start(t, dir, config, "SURVEYGATE_KEY="+eraseKey)
	const mail, phone = "kq9vxw2zprt@mail.tld", "+905559871234"
	client := &http.Client{}
	if status, result, err := p.publish(client, fmt.Sprintf(`{"type":"response.completed","id":"e1","email":%q,"phone":%q,"response":{"id":"r1"}}`, mail, phone)); err != nil || status != 200 || result != "accepted" {
		t.Fatalf("%d %s %v", status, result, err)
	}
	if text, code := p.say("erase", mail, "--products", "--dry-run"); code != 0 || !strings.Contains(text, "alarms (slack): by hand: it has no way to erase a person") || !strings.Contains(text, "crm (hubspot): is asked to erase the person") {
		t.Fatalf("%d %s", code, text)
	}
	if text, code := p.say("erase", mail, "--products", "--yes", "--no-wait"); code != 0 {
		t.Fatalf("%d %s", code, text)
	}
	tried := func(what string) int {
		mu.Lock()
		defer mu.Unlock()
		n := 0
		for _, a := range asked {
			if strings.Contains(a, what) {
				n++
			}
		}
		return n
	}
	until(t, "the product that is down was asked", func() bool { return tried("/gdpr-delete") > 0 })
	p.kill()
	mu.Lock()
	down = false
	mu.Unlock()
	p = start(t, dir, config, "SURVEYGATE_KEY="+eraseKey)
	var list struct {
		Data []struct {
			ID, State string
			Receipt   struct {
				Products []struct {
					Destination string
					ByHand      string `json:"by_hand"`
					Answers     []struct{ Delivery, Text string }
				}
			}
		}
	}
	until(t, "the erasure has ended", func() bool {
		p.get(&list, "/v1/erasures")
		return len(list.Data) == 1 && list.Data[0].State == "done"
	})
	var told []string
	for _, of := range list.Data[0].Receipt.Products {
		text := of.Destination + ": " + of.ByHand
		for _, a := range of.Answers {
			text += a.Text
		}
		told = append(told, text)
	}
	want := "crm: erased|list: erased: the product does not know the person|alarms: it has no way to erase a person"
	if got := strings.Join(told, "|"); got != want {
		t.Errorf("the receipt tells %s", got)
	}
	if tried(mail) == 0 || tried("/actions/delete-permanent") == 0 {
		t.Errorf("asked: %q", asked)
	}
	if server != nil {
		server.Do("BGREWRITEAOF")
		until(t, "the file is written anew", func() bool {
			return server.Info("persistence", "aof_rewrite_in_progress") == "0" && server.Info("persistence", "aof_rewrite_scheduled") == "0"
		})
	}
	for _, word := range []string{"kq9vxw2zprt", "5559871234"} {
		if where := bytesLeft(t, dir, server, word); where != "" {
			t.Errorf("%s has %s", where, word)
		}
	}
}
