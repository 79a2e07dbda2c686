package web

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// addressFields are the fields of requests whose value is an address, with a request that is answered well if the address is.
var addressFields = map[string]struct {
	path, body string
	// page: a browser goes there, and not the gateway, so that an address that is not public may be meant.
	page bool
}{
	"POST /department/:department/webhook/ url":          {"/department/acme/webhook/", `{"name":"n","url":"URL","events":["SURVEY_COMPLETED"]}`, false},
	"PUT /department/:department/webhook/:name url":      {"/department/acme/webhook/NAME", `{"id":"NAME","name":"n","url":"URL","events":["SURVEY_COMPLETED"]}`, false},
	"POST /department/:department/webhook/test-send url": {"/department/acme/webhook/test-send", `{"url":"URL"}`, false},
	"POST /v1/tenants/:id/portal-links origin":           {"/v1/tenants/acme/portal-links", `{"capabilities":["deliveries"],"origin":"URL"}`, false},
	"POST /v1/tenants/:id/portal-links refresh_url": {
		"/v1/tenants/acme/portal-links", `{"capabilities":["deliveries"],"refresh_url":"URL"}`, true,
	},
}

// Every field of a request that takes an address refuses what leads into a network, or what a reader takes for another address. Those of
// documents are in TestAddressesOfDocuments.
func TestAddressesOfRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	made := r.does(t, ask{method: "POST", path: "/department/acme/webhook/", token: acmeAdminToken, body: `{"name":"n","url":"https://a.example.com/","events":["SURVEY_COMPLETED"]}`}, 201)
	name := departmentOf(t, made, 201).Webhooks[0].ID
	found := map[string]bool{}
	for _, route := range Routes() {
		in := reflect.TypeOf(route.In)
		if in == nil || in.Kind() != reflect.Struct {
			continue
		}
		for i := range in.NumField() {
			field, _, _ := strings.Cut(in.Field(i).Tag.Get("json"), ",")
			if in.Field(i).Type.Kind() != reflect.String || !strings.HasSuffix(field, "url") && field != "origin" {
				continue
			}
			key := route.Method + " " + route.Path + " " + field
			of, known := addressFields[strings.Replace(key, "/webhook/add ", "/webhook/ ", 1)]
			if !known {
				t.Errorf("%s: an address that this test does not send", key)
				continue
			}
			found[key] = true
			send := func(text string) told {
				quoted, err := json.Marshal(text)
				if err != nil {
					t.Fatal(err)
				}
				a := ask{method: route.Method, path: strings.ReplaceAll(of.path, "NAME", name), token: acmeAdminToken}
				a.body = strings.ReplaceAll(strings.Replace(of.body, `"URL"`, string(quoted), 1), "NAME", name)
				got := r.ask(t, a)
				if got.status == http.StatusTooManyRequests {
					r.clock.Advance(time.Minute)
					got = r.ask(t, a)
				}
				return got
			}
			forms := []string{
				"ftp://a.example.com/", "javascript:alert(1)", "//a.example.com/", "https:a.example.com", "https://jo@a.example.com/", "https://jo:pw@127.0.0.1/",
				"https://a.example.com/#x", "https://", "https://a example.com/", "https://a.example.com:99999/", "http://a.example.com/", "https://127.0.0.1\u3002/", "https://①27.0.0.1/",
			}
			if !of.page {
				forms = append(forms, "https://127.0.0.1/", "HTTPS://127.0.0.1/", "http://127.0.0.1/", "https://[::ffff:10.0.0.1]/", "https://169.254.169.254/latest", "https://2130706433/", "https://0x7f.1/",
					"https://0177.0.0.1/", "https://localhost./", "https://127.0.0.1./")
			}
			for _, form := range forms {
				if got := send(form); got.status != 422 && got.status != 400 {
					t.Errorf("%s: %s: %d %s", key, form, got.status, got.body)
				}
			}
		}
	}
	for key := range addressFields {
		if !found[key] {
			t.Errorf("%s: there is no such field", key)
		}
	}
}
