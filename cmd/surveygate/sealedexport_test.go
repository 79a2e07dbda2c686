package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/cmd/command"
)

// A sealed export gives back what was deleted: the webhook signs with the same secret. It counts for the same tenant and names alone.
func TestSealedExportGivesBackSecrets(t *testing.T) {
	t.Parallel()
	came := make(chan *http.Request, 8)
	sink := newSink(t, func(_ int, r *http.Request) int {
		came <- r
		return http.StatusOK
	})
	// The sink is the egress proxy: documents reach no private addresses.
	p := start(t, t.TempDir(), fmt.Sprintf("outbound: {allow_http: true, proxy: %q}\ntokens: [{name: all, secret: %q, tenant: \"*\", scopes: [read, settings, admin]}]\n", sink.url, testToken))
	g := &atGateway{t, p.dir, map[string]bool{}}
	hook := g.file("hook.yaml", "url: http://hook.example.com/in\nevents: [response.completed]\nheaders: {X-Key: 'a-secret-$${of}-mine'}\n")
	secret := regexp.MustCompile(`whsec_\S+`).FindString(g.play(0, "webhook partner: created", "webhook", "put", "partner", hook))
	g.play(0, "created", "connection", "put", "crm", g.file("crm.yaml", "hubspot: {token: pat-0123456789}"))
	g.play(0, "created", "rule", "put", "all", g.file("all.yaml", "{when: nps_score <= 6, send: [partner, crm]}"))
	works := func() {
		t.Helper()
		until(t, "the webhook is in use", func() bool { // within a second
			return command.Main([]string{"destinations", "show", "partner", "--data", filepath.Join(p.dir, "data")}, io.Discard, io.Discard) == 0
		})
		g.play(0, "delivered: 200", "destinations", "test", "partner")
		got := (<-came).Header
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
		if err != nil {
			t.Fatal(err)
		}
		sink.mu.Lock()
		body := sink.bodies[got.Get("webhook-id")]
		sink.mu.Unlock()
		sum := hmac.New(sha256.New, key)
		_, _ = fmt.Fprintf(sum, "%s.%s.%s", got.Get("webhook-id"), got.Get("webhook-timestamp"), body)
		if want := "v1," + base64.StdEncoding.EncodeToString(sum.Sum(nil)); body == "" || got.Get("webhook-signature") != want || got.Get("X-Key") != "a-secret-${of}-mine" {
			t.Errorf("not signed %s with the same secret: %v", want, got)
		}
	}
	works()

	file := filepath.Join(p.dir, "backup.yaml")
	g.play(1, "lacks the scope `secrets`", "settings", "export", "--sealed", "--server", "http://"+p.address, "--token", testToken, "--tenant", "default")
	g.play(0, "", "settings", "export", "--sealed", "--out", file)
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), secret) || strings.Contains(string(text), "-mine") || strings.Contains(string(text), "pat-") {
		t.Fatalf("%v: %s", err, text)
	}
	g.play(0, "settings.export", "audit", "--of", "settings")
	g.play(2, "backup.yaml", "check", "--config", file) // no file of the gateway
	for _, name := range []string{"rule all", "webhook partner", "connection crm"} {
		kind, name, _ := strings.Cut(name, " ")
		g.play(0, "deleted", kind, "delete", name)
	}
	g.play(0, "+ connection crm\n+ webhook partner\n+ rule all\ndone: +3 ~0 -0", "settings", "import", file)
	g.play(0, "plan: +0 ~0 -0, 3 unchanged", "settings", "import", file)
	works()

	g.play(0, "created", "tenant", "put", "acme")
	moved := g.file("moved.yaml", strings.Replace(string(text), "tenant: default", "tenant: acme", 1))
	shown := g.play(2, moved+":\nthis does not open with the key k1 of this gateway, which has k1\nis of another tenant\n^~~", "settings", "import", moved, "--tenant", "acme")
	if g.play(0, "none", "webhook", "list", "--tenant", "acme"); strings.Contains(shown, secret) {
		t.Errorf("shown:\n%s", shown)
	}
	other := g.file("other.yaml", strings.ReplaceAll(string(text), " k1:", " k4:"))
	g.play(2, "sealed with the key k4, and this gateway has k1", "settings", "import", other)
}
