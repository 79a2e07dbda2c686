package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// panel is everybody who answers, and what products were told of them more than once.
type panel struct {
	t       *testing.T
	all     []respondent
	mu      sync.Mutex
	repeats map[string]int // records that a product had already, by product
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
	panel   *panel
	product string
	stored  map[string]string // key: respondent; under panel.mu
}

func (p *panel) keyed(product string) *keyed {
	return &keyed{p, product, map[string]string{}}
}

// put returns the respondent if the record is new. It says when one key stands for two respondents.
func (k *keyed) put(key, who string) (told []string) {
	k.panel.mu.Lock()
	defer k.panel.mu.Unlock()
	before, known := k.stored[key]
	switch {
	case key == "":
		k.panel.t.Errorf("%s: the record of %s has no key", k.product, who)
	case known && before != who:
		k.panel.t.Errorf("%s: the records of %s and %s have one key: %s", k.product, before, who, key)
	case known:
		k.panel.repeats[k.product]++
		return nil
	}
	k.stored[key] = who
	return []string{who}
}

func (k *keyed) has(key string) bool {
	k.panel.mu.Lock()
	defer k.panel.mu.Unlock()
	_, known := k.stored[key]
	return known
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
	known := p.keyed("hubspot")
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
	known := p.keyed("mailchimp")
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
	profiles, subscribed, events := p.keyed("klaviyo"), p.keyed("klaviyo"), p.keyed("klaviyo")
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
	known := p.keyed("sendgrid")
	return func(w http.ResponseWriter, r *reading) (told []string) {
		if r.Header.Get("Authorization") != "Bearer SG.test" {
			return refuse(p.t, w, r, http.StatusUnauthorized, "no key")
		}
		const jobs = "/v3/marketing/contacts/imports/"
		switch {
		case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, jobs):
			answer(w, http.StatusOK, obj{
				"id": strings.TrimPrefix(r.URL.Path, jobs), "status": "completed", "job_type": "upsert",
				"results": obj{"requested_count": 1, "created_count": 1, "updated_count": 0, "deleted_count": 0, "errored_count": 0},
			})
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
	known := p.keyed("airtable")
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
	known := p.keyed("mixpanel")
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
	known := p.keyed("amplitude")
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
