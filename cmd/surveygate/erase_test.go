package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/redistest"
)

// What a person wrote is erased by the command: no byte of their e-mail address, phone number, name or answers is left in any file of
// the data folder, in a DUMP of any key of Redis, or in its append-only file after BGREWRITEAOF.
func TestErase(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		eraseAll(t, nil)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		eraseAll(t, redistest.Start(t, append([]string{"--rdbcompression", "no", "--auto-aof-rewrite-percentage", "0"}, redistest.Durable...)...))
	})
}

// ofPerson are words of the person that nothing else has, in lower case.
var ofPerson = []string{"kq9vxw2zprt", "zorblatt", "quixwen", "5559871234", "vyxkulbrest", "plomvarnik"}

func eraseAll(t *testing.T, server *redistest.Server) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		switch r.URL.Path {
		case "/dead":
			w.WriteHeader(http.StatusBadRequest)
		case "/later":
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		_, _ = w.Write(append([]byte("you sent "), body...))
	}))
	t.Cleanup(receiver.Close)
	engine := ""
	if server != nil {
		engine = fmt.Sprintf("redis: %q\n", server.URL())
	}
	config := func(roles string) string {
		return engine + fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
tokens: [{name: all, secret: %q, scopes: [publish, read, write, admin]}]
sources: {forms: {profile: surveyjs, secrets: [token-of-the-forms], capture: 24h, roles: {%s}}}
webhooks:
  - {name: whole, url: "%[3]s/ok", events: ["response.*"], body: event, signature: none, capture: all}
  - {name: dead, url: "%[3]s/dead", events: ["response.*"], signature: none, preset: pollqr}
  - {name: later, url: "%[3]s/later", events: ["response.*"], body: event, signature: none}
`, testToken, roles, receiver.URL)
	}
	dir := t.TempDir()
	p := start(t, dir, config("mail: email"), "SURVEYGATE_KEY="+eraseKey)
	data := filepath.Join(dir, "data")
	submit := func(i int, mail string) {
		t.Helper()
		var answer struct{ ID, Status string }
		p.submit(&answer, "forms", fmt.Sprintf(`{"surveyId":"s","resultId":"r%d","data":{"nps":3,"mail":%q,"who":%q,"tel":%q,"why":%q,"more":%q}}`, i, mail,
			byPerson(mail, "Zorblatt Quixwen", "Ann Other"), byPerson(mail, "+905559871234", "+905551111111"), byPerson(mail, "vyxkulbrest was slow", "all fine"),
			byPerson(mail, "plomvarnik", "nothing")))
	}
	const jo = "Kq9vXw2ZpRt@mail.tld"
	const events = 60
	for i := range events {
		mail := fmt.Sprintf("other%d@mail.tld", i)
		if i%9 == 0 || i > 20 && i < 25 {
			mail = jo
		}
		submit(i, mail)
	}
	reject := func(mail string) {
		t.Helper()
		body := fmt.Sprintf(`{"surveyId":"s","resultId":"x","data":{"mail":%q,"who":"Zorblatt Quixwen","why":"vyxkulbrest"}}`, mail)
		res, err := http.Post("http://"+p.address+"/in/forms", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized {
			t.Fatalf("a request without proof is answered %d", res.StatusCode)
		}
	}
	reject(jo)
	until(t, "all are attempted", func() bool {
		var dead, waiting, done struct{ Data []struct{ Attempts int } }
		p.get(&dead, "/v1/deliveries?state=dead&limit=200")
		p.get(&waiting, "/v1/deliveries?state=waiting&destination=later&limit=200")
		p.get(&done, "/v1/deliveries?state=delivered&limit=200")
		return len(dead.Data)+len(waiting.Data)+len(done.Data) >= 2*events && len(done.Data) >= events
	})
	p.reload(config("mail: email, who: name, tel: phone, why: feedback"))
	if text, code := p.say("replay", "--normalise", "--source", "forms", "--yes"); code != 0 {
		t.Fatalf("normalise: %d %s", code, text)
	}
	for _, word := range ofPerson {
		if bytesLeft(t, data, server, word) == "" {
			t.Fatalf("%s was never there", word)
		}
	}
	if text, code := p.say("erase", strings.ToUpper(jo), "--dry-run"); code != 0 || !strings.Contains(text, "11 events of 11 responses: would be erased") || !strings.Contains(text, "1 rejected request") {
		t.Fatalf("dry run: %d %s", code, text)
	}
	text, code := p.say("erase", jo, "--yes")
	if code != 0 || !strings.Contains(text, "11 events of 11 responses: erased") || !strings.Contains(text, "captured requests") || !strings.Contains(text, "on disk: ") {
		t.Fatalf("erase: %d %s", code, text)
	}
	look := func(when string) {
		t.Helper()
		for _, word := range ofPerson {
			if where := bytesLeft(t, data, server, word); where != "" {
				t.Errorf("%s, %s has %s", when, where, word)
			}
			if said := strings.ToLower(p.said()); strings.Contains(said, word) {
				t.Errorf("the log has %s", word)
			}
		}
	}
	if server != nil {
		server.Do("BGREWRITEAOF")
		until(t, "the file is written anew", func() bool {
			return server.Info("persistence", "aof_rewrite_in_progress") == "0" && server.Info("persistence", "aof_rewrite_scheduled") == "0"
		})
	}
	look("after the erasure")
	var all struct{ Data []struct{ Erased string } }
	p.get(&all, "/v1/events?limit=200")
	erased := 0
	for _, ev := range all.Data {
		if ev.Erased != "" {
			erased++
		}
	}
	if len(all.Data) < events || erased != 11 {
		t.Errorf("%d events are kept, %d of them erased", len(all.Data), erased)
	}
	if text, code := p.say("erase", jo, "--dry-run"); code != 0 || !strings.Contains(text, "not found: events of this person") {
		t.Errorf("once more: %d %s", code, text)
	}
	p.stop()
	look("after the end")
}

// eraseKey is a key of the vault.
const eraseKey = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZTA="

func byPerson(mail, own, other string) string {
	if strings.HasPrefix(mail, "other") {
		return other
	}
	return own
}

// bytesLeft returns where a word is in files below the data folder, or in Redis; empty: nowhere.
func bytesLeft(t *testing.T, data string, server *redistest.Server, word string) (found string) {
	t.Helper()
	folders := []string{data}
	if server != nil {
		folders = append(folders, fmt.Sprint(server.Do("CONFIG", "GET", "dir").([]any)[1]))
		for _, key := range server.Do("KEYS", "*").([]any) {
			dump := fmt.Sprint(server.Do("DUMP", key))
			if strings.Contains(strings.ToLower(dump), word) {
				return "the DUMP of " + fmt.Sprint(key)
			}
		}
	}
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			content, err := os.ReadFile(path)
			if os.IsNotExist(err) {
				return nil // the store has replaced it
			}
			if err == nil && bytes.Contains(bytes.ToLower(content), []byte(word)) {
				found = path
			}
			return err
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	return found
}
