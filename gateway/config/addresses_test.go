package config

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest/credentials"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// whole are the least settings of each product that has an address among its settings.
var whole = map[string]string{
	"airtable":        `{"token": "pat0123456789", "base": "appAbCdEfGhIjKlMn", "table": "tblAbCdEfGhIjKlMn"}`,
	"amplitude":       `{"api_key": "0123456789abcdef0123456789abcdef"}`,
	"bigquery":        `{"credentials": "{}", "dataset": "surveys", "table": "responses"}`,
	"constantcontact": `{"client_id": "0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f", "client_secret": "a-secret", "refresh_token": "a-token", "lists": ["0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f"]}`,
	"discord":         `{"webhook": "https://discord.com/api/webhooks/123456789012345678/abcdefghijklmnopqrstuvwxyz"}`,
	"ga4":             `{"measurement_id": "G-ABCDEF1234", "api_secret": "abcdefghijklmnop"}`,
	"hubspot":         `{"token": "pat-na1-0123456789"}`,
	"klaviyo":         `{"api_key": "pk_0123456789abcdef"}`,
	"mailchimp":       `{"api_key": "0123456789abcdef-us6", "audience": "a1b2c3d4e5"}`,
	"mixpanel":        `{"token": "0123456789abcdef0123456789abcdef"}`,
	"pipedrive":       `{"token": "0123456789abcdef0123456789abcdef01234567"}`,
	"salesforce":      `{"domain": "acme.my.salesforce.com", "client_id": "a-client", "client_secret": "a-secret"}`,
	"sendgrid":        `{"api_key": "SG.0123456789"}`,
	"slack":           `{"webhook": "https://hooks.slack.com/services/T0/B0/abcdefghijkl"}`,
	"teams":           `{"webhook": "https://prod-1.westeurope.logic.azure.com/workflows/a/triggers/manual/paths/invoke?sig=abcdefghijklmnop"}`,
	"webhook":         `{"url": "https://a.example.com/", "signature": "none", "events": ["*"]}`,
}

// hosts are forms of hosts that are not public, or none.
var hosts = []string{
	"127.0.0.1", "127.0.0.1:8443", "127.1", "127.0.0.1.", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "224.0.0.1",
	"localhost", "LOCALHOST", "localhost.", "a.localhost", "[::1]", "[::]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
	"[64:ff9b::7f00:1]", "[2002:7f00:1::]", "2130706433", "017700000001", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "1.0x7f", "jo@a.example.com", "jo:pw@a.example.com",
	"a.example.com:0", "a.example.com:99999", "a.example.com:", "a.example.com:x", "①②⑦.⓪.⓪.①", "１２７.0.0.1", "127。0。0。1", "%31%32%37.0.0.1", "a.example.com%2f@127.0.0.1",
	`a.example.com\@127.0.0.1`, "a example.com", "", ".", "..", "a.example.com\u200b",
}

// No address that a stored document can hold reaches what is not public, in whatever form it is written. The settings are found by
// their types, so that a new product is among them.
func TestAddressesOfDocuments(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, name := range connectors.Names() {
		c, _ := connectors.New(name)
		product, _, _ := strings.Cut(name, ".")
		for _, field := range document.FieldsOf(c) {
			isURL := field.Type == urlType || field.Type == baseType || field.Type == accountType || field.Type == secretType && field.Name == "webhook"
			if holdsURL(field.Type) && !isURL {
				t.Errorf("%s.%s: an address within another setting is not checked", name, field.Name)
			}
			if !isURL || seen[product+"."+field.Name] {
				continue
			}
			seen[product+"."+field.Name] = true
			if name != product {
				t.Errorf("%s.%s: an address of an action, which a rule sets, is not checked by this test", name, field.Name)
			}
			if whole[product] == "" {
				t.Errorf("%s: this test has no settings of it", product)
				continue
			}
			state := func(value string) (DocumentState, string) {
				var settings map[string]any
				if err := json.Unmarshal([]byte(whole[product]), &settings); err != nil {
					t.Fatal(err)
				}
				if product == "bigquery" {
					settings["credentials"] = credentials.Google()
				}
				switch {
				case value == "":
				case field.Type == accountType:
					settings[field.Name] = strings.Replace(credentials.Google(), `"https://oauth2.googleapis.com/token"`, string(marshal(t, value)), 1)
				default:
					settings[field.Name] = value
				}
				d := Document{Name: "webhook/x", Spec: marshal(t, settings)}
				if product != productWebhook {
					d = Document{Name: "connection/x", Spec: marshal(t, map[string]any{product: settings})}
				}
				o := Overlay(&Config{}, "acme", []Document{d})
				return o.Documents[0].State, o.Documents[0].Faults.Error()
			}
			if got, faults := state(""); got != Active {
				t.Errorf("%s: %s %s", product, got, faults)
			}
			for _, host := range hosts {
				for _, form := range []string{"https://HOST/x", "HTTPS://HOST/x"} {
					if got, _ := state(strings.Replace(form, "HOST", host, 1)); got != Broken {
						t.Errorf("%s.%s: %s%s is %s", product, field.Name, form[:8], host, got)
					}
				}
			}
			for _, text := range []string{"http://a.example.com/x", "HTTP://a.example.com/x", "ftp://a.example.com/", "file:///etc/passwd", "//a.example.com/", "https:a.example.com", "https://a.example.com/#x", " https://127.0.0.1/", "\thttp://127.0.0.1/"} {
				if got, _ := state(text); got != Broken {
					t.Errorf("%s.%s: %q is %s", product, field.Name, text, got)
				}
			}
		}
	}
	for product := range whole {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(seen)), func(s string) bool { return strings.HasPrefix(s, product+".") }) {
			t.Errorf("%s has no address", product)
		}
	}
	if got := len(seen); got < 16 {
		t.Errorf("%d settings found", got)
	}
}

// holdsURL reports whether a type is an address, or holds one at any depth.
func holdsURL(t reflect.Type) bool {
	switch {
	case t == urlType || t == baseType:
		return true
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer:
		return holdsURL(t.Elem())
	case t.Kind() == reflect.Struct:
		return slices.ContainsFunc(document.Fields(t), func(f document.Field) bool { return holdsURL(f.Type) })
	}
	return false
}

func marshal(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
