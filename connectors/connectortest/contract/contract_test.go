package contract

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestCheck checks requests against two small documents: valid ones, and one for each kind of error.
func TestCheck(t *testing.T) {
	t.Parallel()
	docs, err := Load("testdata", "shop")
	if err != nil {
		t.Fatal(err)
	}
	const put = "PUT https://api.shop.test/v2/orders/a1"
	const bearer = "\nAuthorization: Bearer x"
	rows := map[string]struct{ request, by, fault string }{
		"passes":                 {put + "?dry=true" + bearer + "\n\n" + `{"count":1,"extra":{"any":1},"labels":{"a":"b"},"item":{"name":"x","size":2}}`, "shop", ""},
		"a proxy passes":         {"PUT https://proxy.example/v2/orders/a1" + bearer + "\n\n" + `{"count":1}`, "shop", ""},
		"loopback passes":        {"PUT http://127.0.0.1:8080/v2/orders/a1" + bearer + "\n\n" + `{"count":1}`, "shop", ""},
		"old passes":             {"POST https://old.shop.test/v1/orders\nAuthorization: Basic YTpi\n\n" + `{"count":1}`, "shop-old", ""},
		"a region passes":        {"PUT https://in.shops.test/v2/orders/a1" + bearer + "\n\n" + `{"count":1}`, "shop", ""},
		"other region":           {"PUT https://us.shops.test/v2/orders/a1" + bearer + "\n\n" + `{"count":1}`, "", "is in no document"},
		"a company passes":       {"PUT https://acme.shopping.test/v2/orders/a1" + bearer + "\n\n" + `{"count":1}`, "shop", ""},
		"a token passes":         {"POST https://old.shop.test/v1/orders\nAuthorization: Basic YTo=\n\n" + `{"count":1}`, "shop-old", ""},
		"an empty token":         {"POST https://old.shop.test/v1/orders\nAuthorization: Basic Og==\n\n" + `{"count":1}`, "shop-old", "credentials"},
		"the exact path is met":  {"GET https://api.shop.test/v2/orders/latest?key=x", "shop", ""},
		"other host":             {"PUT https://api.other.test/v2/orders/a1" + bearer + "\n\n" + `{"count":1}`, "", "is in no document (shop-old, shop)"},
		"other path":             {"PUT https://api.shop.test/v2/orders/a1/b" + bearer + "\n\n" + `{"count":1}`, "", "is in no document"},
		"empty part of the path": {"PUT https://api.shop.test/v2/orders/" + bearer + "\n\n" + `{"count":1}`, "", "is in no document"},
		"other method":           {"POST https://api.shop.test/v2/orders/a1" + bearer + "\n\n" + `{"count":1}`, "", "is in no document"},
		"path's form":            {"PUT https://api.shop.test/v2/orders/A%201" + bearer + "\n\n" + `{"count":1}`, "shop", `parameter "id" in path`},
		"query unknown":          {put + "?drry=true" + bearer + "\n\n" + `{"count":1}`, "shop", `"drry" is in no parameter`},
		"query's type":           {put + "?dry=maybe" + bearer + "\n\n" + `{"count":1}`, "shop", `parameter "dry" in query`},
		"no credentials":         {put + "\n\n" + `{"count":1}`, "shop", "credentials"},
		"other credentials":      {put + "\nAuthorization: Basic YTpi\n\n" + `{"count":1}`, "shop", "credentials"},
		"bare credentials":       {"POST https://old.shop.test/v1/orders\nAuthorization: Basic a\n\n" + `{"count":1}`, "shop-old", "credentials"},
		"no key":                 {"GET https://api.shop.test/v2/orders/latest?key=", "shop", "credentials"},
		"body missing":           {put + bearer, "shop", "request body has an error"},
		"body not wanted":        {"GET https://api.shop.test/v2/orders/latest?key=x\n\n{}", "shop", "request body not allowed"},
		"body's type":            {put + bearer + "\nContent-Type: text/plain\n\n" + `{"count":1}`, "shop", "Content-Type"},
		"no JSON":                {put + bearer + "\n\n{", "shop", "request body has an error"},
		"field missing":          {put + bearer + "\n\n{}", "shop", `"count"`},
		"field's type":           {put + bearer + "\n\n" + `{"count":"1"}`, "shop", "/count"},
		"field's bound":          {put + bearer + "\n\n" + `{"count":0}`, "shop", "/count"},
		"field unknown":          {put + bearer + "\n\n" + `{"count":1,"cuont":1}`, "shop", `"cuont" is unsupported`},
		"label's type":           {put + bearer + "\n\n" + `{"count":1,"labels":{"a":1}}`, "shop", "/labels/a"},
		"more as in its example": {put + bearer + "\n\n" + `{"count":1,"marks":{"m7":"a"}}`, "shop", ""},
		"mark's type":            {put + bearer + "\n\n" + `{"count":1,"marks":{"m1":1}}`, "shop", "/marks/m1"},
		"part of a whole":        {put + bearer + "\n\n" + `{"count":1,"item":{"size":2}}`, "shop", "/item"},
		"old field unknown":      {"POST https://old.shop.test/v1/orders\nAuthorization: Basic YTpi\n\n" + `{"count":1,"x":1}`, "shop-old", `"x" is unsupported`},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, body, err := Parse(row.request)
			if err != nil {
				t.Fatal(err)
			}
			d, err := docs.Check(r, body)
			switch {
			case row.fault == "" && err != nil:
				t.Error(err)
			case row.fault != "" && (err == nil || !strings.Contains(err.Error(), row.fault)):
				t.Errorf("got %v, want %q", err, row.fault)
			}
			by := ""
			if d != nil {
				by = d.Name
			}
			if by != row.by {
				t.Errorf("checked by %q, want %q", by, row.by)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ folder, product string }{{"testdata", "bakery"}, {"nowhere", "shop"}} {
		if _, err := Load(row.folder, row.product); err == nil {
			t.Errorf("%v: loaded", row)
		}
	}
}

func TestResolveFolder(t *testing.T) {
	t.Parallel()
	if _, err := ResolveFolder(""); err == nil || !strings.Contains(err.Error(), EnvVar) {
		t.Errorf("without a value: %v", err)
	}
	if got, err := ResolveFolder("/srv/specs"); err != nil || got != "/srv/specs" {
		t.Error(got, err)
	}
	got, err := ResolveFolder("connectors/connectortest")
	if err != nil {
		t.Fatal(err)
	}
	if want, _ := filepath.Abs(".."); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
