package console

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// transfer is the page of export and import: first the plan of a file, then the import.
type transfer struct {
	May           may
	Text, Owner   string
	Replace, Lock bool
	Plan          *view.Import
	// Changed: an import was asked for, whose plan is another than the one that was shown.
	Changed bool
	Problem *page.Problem
}

func (c *Console) showTransfer(r *page.Request, t transfer) error {
	t.May = mayOf(r)
	return r.Show("transfer", t)
}

const yamlType = "application/yaml"

// export answers with the tenant's documents as a file.
func (c *Console) export(r *page.Request) error {
	q := url.Values{}
	if r.Query("sealed") != "" {
		q.Set("sealed", "true")
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodGet, Path: "/v1/settings/export", Query: q})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showTransfer(r, transfer{Problem: problem})
		}
		return err
	}
	return r.Download("surveygate-"+r.Tenant+".yaml", yamlType, a.Body)
}

func (c *Console) importSettings(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	t := transfer{
		// Browsers send line breaks of a text area as CRLF.
		Text: strings.ReplaceAll(form.Get("text"), "\r\n", "\n"), Owner: strings.TrimSpace(form.Get("owner")), Replace: form.Get("replace") != "", Lock: form.Get("lock") != "",
	}
	q := url.Values{"owner": {t.Owner}}
	if t.Replace {
		q.Set("mode", "replace")
	}
	if t.Lock {
		q.Set("lock", "true")
	}
	asks := func(dry string) (*view.Import, error) {
		q.Set("dry_run", dry)
		a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/settings/import", Query: q, Raw: []byte(t.Text), Type: yamlType})
		if err != nil {
			return nil, err
		}
		var plan view.Import
		return &plan, a.Decode(&plan)
	}
	if strings.TrimSpace(strings.TrimPrefix(t.Text, "\ufeff")) == "" {
		err = answer.Invalid("paste a file of documents", "text")
	} else {
		t.Plan, err = asks("true")
	}
	if err == nil && form.Get("do") == "import" {
		if t.Changed = form.Get("planned") != t.Planned(); !t.Changed {
			var done *view.Import
			if done, err = asks(""); err == nil {
				return r.See(ImportPath, "Imported: "+done.Plan+".")
			}
			t.Plan = nil
		}
	}
	if err != nil {
		if t.Problem = r.Refusal(err); t.Problem == nil {
			return err
		}
	}
	return c.showTransfer(r, t)
}

// Planned identifies a plan: the file, how it is imported, and what that does to each document as it is now. An import is done only with
// that of the plan that was shown.
func (t transfer) Planned() string {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%q %q %t %t", t.Text, t.Owner, t.Replace, t.Lock)
	for _, of := range t.Plan.Tenants {
		for i := range of.Items {
			item := &of.Items[i]
			_, _ = fmt.Fprintf(&b, " %q %q %q %s %d", of.Tenant, item.Kind, item.Name, item.Change, item.Version)
		}
	}
	return digest(b.String())
}
