package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
)

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

// constantContactTokens gives a token for a refresh token that was not used yet.
func (p *panel) constantContactTokens(k *tokens) func(http.ResponseWriter, *reading) []string {
	k.refresh = "the-first-refresh-token"
	return func(w http.ResponseWriter, r *reading) []string {
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
}

func (p *panel) constantContact(k *tokens) func(http.ResponseWriter, *reading) []string {
	known := p.keyed("constantcontact")
	return func(w http.ResponseWriter, r *reading) []string {
		if !k.good(r) {
			answer(w, http.StatusUnauthorized, obj{"error_key": "unauthorized", "error_message": "Unauthorized"})
			return nil
		}
		if q := r.URL.Query(); r.Method == http.MethodGet && r.URL.Path == "/v3/contacts" && q.Get("status") == "all" {
			found := []obj{}
			if known.has(q.Get("email")) {
				found = append(found, obj{"contact_id": "5a0e0000-0000-4000-8000-000000000004", "email_address": obj{"address": q.Get("email"), "permission_to_send": "explicit"}})
			}
			answer(w, http.StatusOK, obj{"contacts": found, "_links": obj{}})
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
	contacts, cases := p.keyed("salesforce"), p.keyed("salesforce")
	// upsert stores a record, and says what Salesforce answers of it.
	upsert := func(kind, field, key string, record any) (told []string, result obj) {
		done := obj{"id": fmt.Sprintf("003%015d", len(key)), "success": true, "errors": []any{}, "created": true}
		switch kind + "." + field {
		case "Contact.SG_Key__c":
			if text(record, "LastName") == "" && !contacts.has(key) {
				return nil, obj{"success": false, "errors": []any{obj{"statusCode": "REQUIRED_FIELD_MISSING", "message": "Required fields are missing: [LastName]", "fields": []any{"LastName"}}}}
			}
			return contacts.put(key, p.about(key)), done
		case "Case.SG_Response__c":
			for _, who := range cases.put(key, p.about(key+raw(record))) {
				told = append(told, "case: "+who)
			}
			return told, done
		}
		p.t.Errorf("Salesforce has no %s.%s", kind, field)
		return nil, obj{"success": false, "errors": []any{obj{"statusCode": "NOT_FOUND", "message": "not found", "fields": []any{}}}}
	}
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
		// 67.0/sobjects/OBJECT/FIELD/KEY, or of several 67.0/composite/sobjects/OBJECT/FIELD with the key in each.
		parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/services/data/v"), "/")
		if r.Method != http.MethodPatch || len(parts) != 5 {
			return refuse(p.t, w, r, http.StatusNotFound, "no such call")
		}
		if parts[1] == "composite" && parts[2] == "sobjects" {
			var results []obj
			for _, record := range items(r.json(p.t), "records") {
				new, result := upsert(parts[3], parts[4], text(record, parts[4]), record)
				told, results = append(told, new...), append(results, result)
			}
			answer(w, http.StatusOK, results)
			return told
		}
		key, err := url.PathUnescape(parts[4])
		if err != nil || parts[1] != "sobjects" {
			return refuse(p.t, w, r, http.StatusNotFound, "no such call")
		}
		told, result := upsert(parts[2], parts[3], key, r.json(p.t))
		if result["success"] == true {
			answer(w, http.StatusCreated, result)
		} else {
			answer(w, http.StatusBadRequest, []obj{{"errorCode": at(result, "errors", 0, "statusCode"), "message": at(result, "errors", 0, "message"), "fields": at(result, "errors", 0, "fields")}})
		}
		return told
	}
}

// serviceAccount is a service account of Google's, with the file that Google gives out for it. `<tokens>` in it is where its tokens are.
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
		"type": "service_account", "project_id": "acme-surveys", "private_key_id": "1", "client_email": "gateway@acme.iam.gserviceaccount.com", "client_id": "1",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), "token_uri": "<tokens>/token",
	})}
}

// googleTokens gives a token for an assertion that the service account's key has signed.
func (p *panel) googleTokens(k *tokens, account *serviceAccount) func(http.ResponseWriter, *reading) []string {
	return func(w http.ResponseWriter, r *reading) []string {
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
}

func (p *panel) bigquery(k *tokens) func(http.ResponseWriter, *reading) []string {
	known := p.keyed("bigquery")
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if !k.good(r) {
			answer(w, http.StatusUnauthorized, obj{"error": obj{"code": 401, "status": "UNAUTHENTICATED", "errors": []obj{{"reason": "authError", "domain": "global"}}}})
			return nil
		}
		if r.Method != http.MethodPost || r.URL.Path != "/bigquery/v2/projects/acme-surveys/datasets/surveys/tables/responses/insertAll" {
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
