package main

import (
	"bytes"
	"compress/gzip"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// panel tells whom a request is about.
type panel struct {
	t   *testing.T
	all []respondent
}

// about returns the one respondent that the text names, by address or by response.
func (p *panel) about(text string) string {
	who := ""
	for _, r := range p.all {
		if strings.Contains(strings.ToLower(text), r.name) {
			if who != "" {
				p.t.Errorf("a record is about %s and %s: %s", who, r.name, text)
			}
			who = r.name
		}
	}
	if who == "" {
		p.t.Errorf("a record is about nobody: %s", text)
	}
	return who
}

// keyed is what a product has stored, by the key by which it recognises a record that it has already.
type keyed struct {
	t    *testing.T
	mu   sync.Mutex
	keys map[string]string // key: respondent
	seen int               // records that it had already
}

func newKeyed(t *testing.T) *keyed { return &keyed{t: t, keys: map[string]string{}} }

// put returns the respondent if the record is new. It says when one key stands for two respondents.
func (k *keyed) put(key, who string) (told []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, known := k.keys[key]
	switch {
	case key == "":
		k.t.Errorf("the record of %s has no key", who)
	case known && before != who:
		k.t.Errorf("the records of %s and %s have one key: %s", before, who, key)
	case known:
		k.seen++
		return nil
	}
	k.keys[key] = who
	return []string{who}
}

// refuse answers with a status and a body, and says why if the request should not have been made.
func refuse(t *testing.T, w http.ResponseWriter, r *reading, status int, why string) []string {
	t.Helper()
	t.Errorf("%s %s: %s\n%s", r.Method, r.URL, why, r.body)
	w.WriteHeader(status)
	return nil
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

type obj = map[string]any

// at returns the value at a path of keys and indexes; nil if there is none.
func at(v any, path ...any) any {
	for _, key := range path {
		switch key := key.(type) {
		case string:
			o, _ := v.(obj)
			v = o[key]
		case int:
			list, _ := v.([]any)
			if key >= len(list) {
				return nil
			}
			v = list[key]
		}
	}
	return v
}

func items(v any, path ...any) []any { l, _ := at(v, path...).([]any); return l }

func text(v any, path ...any) string { s, _ := at(v, path...).(string); return s }

// raw returns a value as JSON, as people read it.
func raw(v any) string {
	b := &bytes.Buffer{}
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v)
	return strings.TrimSpace(b.String())
}

// chat is a channel that takes a message and has no key: Slack, Teams, Discord.
func (p *panel) chat(path string, status int, body string) func(http.ResponseWriter, *reading) []string {
	return func(w http.ResponseWriter, r *reading) []string {
		if r.Method != http.MethodPost || r.URL.Path != path {
			return refuse(p.t, w, r, http.StatusNotFound, "no such channel")
		}
		if strings.Contains(path, "/webhooks/") && (r.URL.Query().Get("wait") != "true" || !strings.Contains(string(r.body), `"allowed_mentions":{"parse":[]}`)) {
			return refuse(p.t, w, r, http.StatusBadRequest, "Discord would not say whether it has the message, or somebody may be woken")
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
		return []string{p.about(string(r.body))}
	}
}

func (p *panel) hubspot() func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if r.URL.Path != "/crm/v3/objects/contacts/batch/upsert" || r.Header.Get("Authorization") != "Bearer pat-eu1-test" {
			return refuse(p.t, w, r, http.StatusNotFound, "no such call")
		}
		results := []obj{}
		for i, in := range items(r.json(p.t), "inputs") {
			if text(in, "idProperty") != "email" {
				return refuse(p.t, w, r, http.StatusBadRequest, "not identified by the address")
			}
			told = append(told, known.put(text(in, "id"), p.about(raw(in)))...)
			results = append(results, obj{"id": fmt.Sprint(i), "objectWriteTraceId": at(in, "objectWriteTraceId"), "properties": obj{"email": at(in, "id")}})
		}
		answer(w, http.StatusOK, obj{"status": "COMPLETE", "results": results})
		return told
	}
}

func (p *panel) mailchimp() func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) []string {
		_, key, _ := r.BasicAuth()
		const members = "/3.0/lists/a1b2c3d4e5/members/"
		switch {
		case key != "0123456789abcdef-us6", !strings.HasPrefix(r.URL.Path, members):
			return refuse(p.t, w, r, http.StatusUnauthorized, "no such call")
		case strings.HasSuffix(r.URL.Path, "/tags"):
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		m := r.json(p.t)
		if r.URL.Path != members+memberOf(text(m, "email_address")) || r.Method != http.MethodPut {
			return refuse(p.t, w, r, http.StatusBadRequest, "not the member's name")
		}
		answer(w, http.StatusOK, obj{"id": "1", "status": "subscribed"})
		return known.put(r.URL.Path, p.about(text(m, "email_address")))
	}
}

// ga4 has no key: what is sent twice counts twice.
func (p *panel) ga4() func(http.ResponseWriter, *reading) []string {
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if q := r.URL.Query(); r.URL.Path != "/mp/collect" || q.Get("measurement_id") != "G-AB12CD34EF" || q.Get("api_secret") != "test-secret" {
			return refuse(p.t, w, r, http.StatusNotFound, "no such call")
		}
		w.WriteHeader(http.StatusNoContent)
		for _, e := range items(r.json(p.t), "events") {
			told = append(told, p.about(raw(e)))
		}
		return told
	}
}

func (p *panel) klaviyo() func(http.ResponseWriter, *reading) []string {
	profiles, subscribed, events := newKeyed(p.t), newKeyed(p.t), newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if r.Header.Get("Authorization") != "Klaviyo-API-Key pk_test" || !strings.HasPrefix(r.Header.Get("Revision"), "2026-") || r.Method != http.MethodPost {
			return refuse(p.t, w, r, http.StatusUnauthorized, "no key or no revision")
		}
		data := at(r.json(p.t), "data")
		switch strings.TrimSuffix(r.URL.Path, "/") {
		case "/api/profile-import":
			answer(w, http.StatusCreated, obj{"data": obj{"type": "profile", "id": "01" + p.about(raw(data))}})
			return profiles.put(text(data, "attributes", "email"), p.about(raw(data)))
		case "/api/profile-subscription-bulk-create-jobs":
			if text(data, "relationships", "list", "data", "id") != "Y6nRLr" {
				return refuse(p.t, w, r, http.StatusNotFound, "no such list")
			}
			for _, profile := range items(data, "attributes", "profiles", "data") {
				for _, who := range subscribed.put(text(profile, "attributes", "email"), p.about(raw(profile))) {
					told = append(told, "subscribed: "+who)
				}
			}
			w.WriteHeader(http.StatusAccepted)
			return told
		case "/api/events":
			w.WriteHeader(http.StatusAccepted)
			for _, who := range events.put(text(data, "attributes", "unique_id"), p.about(raw(data))) {
				told = append(told, "event: "+who)
			}
			return told
		}
		return refuse(p.t, w, r, http.StatusNotFound, "no such call")
	}
}

func (p *panel) sendgrid() func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if r.Header.Get("Authorization") != "Bearer SG.test" {
			return refuse(p.t, w, r, http.StatusUnauthorized, "no key")
		}
		const jobs = "/v3/marketing/contacts/imports/"
		switch {
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, jobs):
			answer(w, http.StatusOK, obj{"id": strings.TrimPrefix(r.URL.Path, jobs), "status": "completed", "job_type": "upsert",
				"results": obj{"requested_count": 1, "created_count": 1, "updated_count": 0, "deleted_count": 0, "errored_count": 0}})
			return nil
		case r.Method != http.MethodPut || r.URL.Path != "/v3/marketing/contacts":
			return refuse(p.t, w, r, http.StatusNotFound, "no such call")
		}
		body := r.json(p.t)
		if text(body, "list_ids", 0) != "7c0ff7b2-0000-4000-8000-000000000001" {
			return refuse(p.t, w, r, http.StatusBadRequest, "no such list")
		}
		for _, contact := range items(body, "contacts") {
			told = append(told, known.put(text(contact, "email"), p.about(raw(contact)))...)
		}
		answer(w, http.StatusAccepted, obj{"job_id": "5ffb0e2a-0000-4000-8000-000000000002"})
		return told
	}
}

// tokens issues access tokens, and refresh tokens of which only the newest is good.
type tokens struct {
	mu      sync.Mutex
	stale   bool // the first access token has expired when it is issued
	n       int
	current string // the access token that is good
	refresh string // the refresh token that is good
}

// next issues an access token, and another refresh token.
func (k *tokens) next(prefix string) (access, refresh string) {
	k.n++
	access, k.refresh = fmt.Sprintf("%s-access-token-number-%d", prefix, k.n), fmt.Sprintf("%s-refresh-token-number-%d", prefix, k.n)
	if k.current = access; k.stale && k.n == 1 {
		k.current = ""
	}
	return access, k.refresh
}

// expire makes the access token that is in use a bad one.
func (k *tokens) expire() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.current = ""
}

func (k *tokens) good(r *reading) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current != "" && r.Header.Get("Authorization") == "Bearer "+k.current
}

func (k *tokens) issued() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.n
}

// form returns the fields of a request to a token endpoint.
func form(t *testing.T, r *reading) url.Values {
	values, err := url.ParseQuery(string(r.body))
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		t.Errorf("a token is asked for with %s: %v", r.Header.Get("Content-Type"), err)
	}
	return values
}

// constantContact has refresh tokens that are used once. The access token that it issues first has expired.
func (p *panel) constantContact(k *tokens) func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	k.refresh = "the-first-refresh-token"
	return func(w http.ResponseWriter, r *reading) []string {
		if r.URL.Path == "/token" {
			k.mu.Lock()
			defer k.mu.Unlock()
			id, secret, _ := r.BasicAuth()
			if f := form(p.t, r); id != "cc-client" || secret != "cc-secret" || f.Get("grant_type") != "refresh_token" || f.Get("refresh_token") != k.refresh {
				answer(w, http.StatusBadRequest, obj{"error": "invalid_grant"})
				p.t.Errorf("Constant Contact: asked for a token with %s, of %s", f, id)
				return nil
			}
			access, refresh := k.next("cc")
			answer(w, http.StatusOK, obj{"access_token": access, "refresh_token": refresh, "token_type": "Bearer", "expires_in": 86400, "scope": "contact_data offline_access"})
			return nil
		}
		if !k.good(r) {
			answer(w, http.StatusUnauthorized, obj{"error_key": "unauthorized", "error_message": "Unauthorized"})
			return nil
		}
		if r.Method != http.MethodPost || r.URL.Path != "/v3/contacts/sign_up_form" {
			return refuse(p.t, w, r, http.StatusNotFound, "no such call")
		}
		body := r.json(p.t)
		if text(body, "list_memberships", 0) != "81aa0000-0000-4000-8000-000000000003" {
			return refuse(p.t, w, r, http.StatusBadRequest, "no such list")
		}
		answer(w, http.StatusCreated, obj{"contact_id": "5a0e0000-0000-4000-8000-000000000004", "action": "created"})
		return known.put(text(body, "email_address"), p.about(raw(body)))
	}
}

// salesforce says of a session that it has expired; its token answers do not say when one will.
func (p *panel) salesforce(k *tokens) func(http.ResponseWriter, *reading) []string {
	contacts, cases := newKeyed(p.t), newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if r.URL.Path == "/services/oauth2/token" {
			k.mu.Lock()
			defer k.mu.Unlock()
			f := form(p.t, r)
			id, secret := f.Get("client_id"), f.Get("client_secret")
			if user, password, basic := r.BasicAuth(); basic {
				id, secret = user, password
			}
			if id != "sf-client" || secret != "sf-secret" || f.Get("grant_type") != "client_credentials" {
				answer(w, http.StatusBadRequest, obj{"error": "invalid_client"})
				p.t.Errorf("Salesforce: asked for a token by %s for %s", id, f.Get("grant_type"))
				return nil
			}
			access, _ := k.next("sf")
			answer(w, http.StatusOK, obj{"access_token": access, "instance_url": "http://" + r.Host, "id": "http://" + r.Host + "/id/00D/005", "token_type": "Bearer", "issued_at": "1795214596000", "signature": "c2ln"})
			return nil
		}
		if !k.good(r) {
			answer(w, http.StatusUnauthorized, []obj{{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}})
			return nil
		}
		parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/services/data/v"), "/") // 67.0/sobjects/Contact/SG_Key__c/KEY
		if r.Method != http.MethodPatch || len(parts) != 5 || parts[1] != "sobjects" {
			return refuse(p.t, w, r, http.StatusNotFound, "no such call")
		}
		key, err := url.PathUnescape(parts[4])
		if err != nil {
			return refuse(p.t, w, r, http.StatusBadRequest, err.Error())
		}
		answer(w, http.StatusCreated, obj{"id": "003" + fmt.Sprint(len(key)), "success": true, "errors": []any{}, "created": true})
		switch parts[2] + " " + parts[3] {
		case "Contact SG_Key__c":
			return contacts.put(key, p.about(key))
		case "Case SG_Response__c":
			for _, who := range cases.put(key, p.about(key+string(r.body))) {
				told = append(told, "case: "+who)
			}
			return told
		}
		return refuse(p.t, w, r, http.StatusNotFound, "no such field")
	}
}

// pipedrive has no key: whoever is created twice is there twice.
func (p *panel) pipedrive() func(http.ResponseWriter, *reading) []string {
	var mu sync.Mutex
	ids, notes := map[string]int{}, 0
	return func(w http.ResponseWriter, r *reading) []string {
		if r.Header.Get("X-Api-Token") != "pd-token" || r.URL.Query().Get("api_token") != "" {
			return refuse(p.t, w, r, http.StatusUnauthorized, "no token")
		}
		mu.Lock()
		defer mu.Unlock()
		const persons = "/api/v2/persons"
		switch {
		case r.Method == http.MethodGet && r.URL.Path == persons+"/search":
			items := []obj{}
			if q := r.URL.Query(); ids[q.Get("term")] > 0 && q.Get("exact_match") == "true" && q.Get("fields") == "email" {
				items = append(items, obj{"result_score": 1.2, "item": obj{"id": ids[q.Get("term")], "type": "person", "name": "Jo", "emails": []string{q.Get("term")}}})
			}
			answer(w, http.StatusOK, obj{"success": true, "data": obj{"items": items}, "additional_data": obj{"next_cursor": nil}})
			return nil
		case r.Method == http.MethodGet && r.URL.Path == persons: // the newest first: a search does not find them at once
			newest := make([]obj, len(ids))
			for address, id := range ids {
				newest[len(ids)-id] = obj{"id": id, "name": "Jo", "emails": []obj{{"value": address, "primary": true}}}
			}
			answer(w, http.StatusOK, obj{"success": true, "data": newest, "additional_data": obj{"next_cursor": nil}})
			return nil
		case r.Method == http.MethodPost && r.URL.Path == persons:
			body := r.json(p.t)
			who := p.about(raw(body))
			ids[text(body, "emails", 0, "value")] = len(ids) + 1
			answer(w, http.StatusCreated, obj{"success": true, "data": obj{"id": len(ids), "name": text(body, "name")}})
			return []string{who}
		case r.Method == http.MethodPatch && strings.HasPrefix(r.URL.Path, persons+"/"):
			answer(w, http.StatusOK, obj{"success": true, "data": obj{"id": 1}})
			return nil
		case r.Method == http.MethodGet && r.URL.Path == "/api/v1/notes":
			answer(w, http.StatusOK, obj{"success": true, "data": nil})
			return nil
		case r.Method == http.MethodPost && r.URL.Path == "/api/v1/notes":
			notes++
			answer(w, http.StatusCreated, obj{"success": true, "data": obj{"id": notes}})
			for address, id := range ids {
				if at(r.json(p.t), "person_id") == float64(id) {
					return []string{"note: " + p.about(address)}
				}
			}
			return refuse(p.t, w, r, http.StatusBadRequest, "no such person")
		}
		return refuse(p.t, w, r, http.StatusNotFound, "no such call")
	}
}

func (p *panel) airtable() func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if r.Header.Get("Authorization") != "Bearer patTest.0123" || r.Method != http.MethodPatch || r.URL.Path != "/v0/appAAAAAAAAAAAAAA/tblBBBBBBBBBBBBBB" {
			return refuse(p.t, w, r, http.StatusForbidden, "no such table")
		}
		body := r.json(p.t)
		merge, records := items(body, "performUpsert", "fieldsToMergeOn"), items(body, "records")
		if len(merge) != 1 || len(records) == 0 || len(records) > 10 {
			return refuse(p.t, w, r, http.StatusUnprocessableEntity, "no field to merge on, or not 1 to 10 records")
		}
		stored, created := []obj{}, []string{}
		for _, record := range records {
			key := raw(at(record, "fields", merge[0]))
			who := p.about(raw(record))
			if at(record, "fields", merge[0]) == nil {
				return refuse(p.t, w, r, http.StatusUnprocessableEntity, "a record has no value to merge on")
			}
			told = append(told, known.put(key, who)...)
			id := "rec" + who
			created = append(created, id)
			stored = append(stored, obj{"id": id, "createdTime": "2026-11-29T10:00:00.000Z", "fields": at(record, "fields")})
		}
		answer(w, http.StatusOK, obj{"records": stored, "createdRecords": created, "updatedRecords": []string{}})
		return told
	}
}

func (p *panel) mixpanel() func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		user, password, _ := r.BasicAuth()
		if user != "mp-token" || password != "" || r.URL.Path != "/import" || r.URL.Query().Get("strict") != "1" {
			return refuse(p.t, w, r, http.StatusUnauthorized, "no such call")
		}
		body := r.body
		if r.Header.Get("Content-Encoding") == "gzip" {
			zip, err := gzip.NewReader(bytes.NewReader(body))
			if err == nil {
				body, err = io.ReadAll(zip)
			}
			if err != nil {
				return refuse(p.t, w, r, http.StatusBadRequest, err.Error())
			}
		}
		var events []any
		if err := json.Unmarshal(body, &events); err != nil {
			return refuse(p.t, w, r, http.StatusBadRequest, err.Error())
		}
		for _, e := range events {
			key := text(e, "properties", "$insert_id")
			if at(e, "properties", "time") == nil || at(e, "properties", "distinct_id") == nil || len(key) > 36 || strings.Trim(key, alphanumeric+"-") != "" {
				return refuse(p.t, w, r, http.StatusBadRequest, "an event without time or distinct_id, or with a bad $insert_id")
			}
			told = append(told, known.put(key, p.about(raw(e)))...)
		}
		answer(w, http.StatusOK, obj{"code": 200, "num_records_imported": len(events), "status": "OK"})
		return told
	}
}

const alphanumeric = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

func (p *panel) amplitude() func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		body := r.json(p.t)
		if text(body, "api_key") != "0123456789abcdef0123456789abcdef" || r.URL.Path != "/2/httpapi" || r.Method != http.MethodPost {
			return refuse(p.t, w, r, http.StatusBadRequest, "no such call")
		}
		events := items(body, "events")
		for _, e := range events {
			if text(e, "user_id")+text(e, "device_id") == "" || text(e, "event_type") == "" || at(e, "time") == nil {
				return refuse(p.t, w, r, http.StatusBadRequest, "an event without user, type or time")
			}
			told = append(told, known.put(text(e, "insert_id"), p.about(raw(e)))...)
		}
		answer(w, http.StatusOK, obj{"code": 200, "events_ingested": len(events), "payload_size_bytes": len(r.body), "server_upload_time": time.Now().UnixMilli()})
		return told
	}
}

// serviceAccount is a service account of Google's, with the file that Google gives out for it. URL in it is where the fake is served.
type serviceAccount struct {
	key  *rsa.PrivateKey
	file string
}

func newServiceAccount(t *testing.T) *serviceAccount {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return &serviceAccount{key, raw(obj{
		"type": "service_account", "project_id": "acme", "private_key_id": "1", "client_email": "gateway@acme.iam.gserviceaccount.com", "client_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "URL/token",
	})}
}

// bigquery gives a token for an assertion that the service account's key has signed.
func (p *panel) bigquery(k *tokens, account *serviceAccount) func(http.ResponseWriter, *reading) []string {
	known := newKeyed(p.t)
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if r.URL.Path == "/token" {
			k.mu.Lock()
			defer k.mu.Unlock()
			f := form(p.t, r)
			claims, err := verified(f.Get("assertion"), &account.key.PublicKey)
			if err != nil || f.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || text(claims, "iss") != "gateway@acme.iam.gserviceaccount.com" ||
				text(claims, "aud") != "http://"+r.Host+"/token" || !strings.HasPrefix(text(claims, "scope"), "https://www.googleapis.com/auth/bigquery") {
				p.t.Errorf("BigQuery: asked for a token with %v: %v", claims, err)
				answer(w, http.StatusBadRequest, obj{"error": "invalid_grant"})
				return nil
			}
			access, _ := k.next("bq")
			answer(w, http.StatusOK, obj{"access_token": access, "token_type": "Bearer", "expires_in": 3599})
			return nil
		}
		if !k.good(r) {
			answer(w, http.StatusUnauthorized, obj{"error": obj{"code": 401, "status": "UNAUTHENTICATED", "errors": []obj{{"reason": "authError", "domain": "global"}}}})
			return nil
		}
		if r.Method != http.MethodPost || r.URL.Path != "/bigquery/v2/projects/acme/datasets/surveys/tables/responses/insertAll" {
			return refuse(p.t, w, r, http.StatusNotFound, "no such table")
		}
		for _, row := range items(r.json(p.t), "rows") {
			told = append(told, known.put(text(row, "insertId"), p.about(raw(row)))...)
		}
		answer(w, http.StatusOK, obj{"kind": "bigquery#tableDataInsertAllResponse"})
		return told
	}
}

// verified returns the claims of a JSON Web Token that the key has signed with RS256.
func verified(token string, key *rsa.PublicKey) (claims obj, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%d parts", len(parts))
	}
	var head obj
	for i, into := range []*obj{&head, &claims} {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, err
		}
		if err := json.Unmarshal(b, into); err != nil {
			return nil, err
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return claims, rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
}
