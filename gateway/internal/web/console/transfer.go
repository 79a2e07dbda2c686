package console

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/view"
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
	asked := form.Get("do") == "import"
	does := asked && form.Get("planned") == t.Planned()
	if !does {
		q.Set("dry_run", "true")
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/settings/import", Query: q, Raw: []byte(t.Text), Type: yamlType})
	if err != nil {
		if t.Problem = r.Refusal(err); t.Problem != nil {
			return c.showTransfer(r, t)
		}
		return err
	}
	t.Plan = &view.Import{}
	if err := a.Decode(t.Plan); err != nil {
		return err
	}
	if does {
		return r.See(ImportPath, "Imported: "+t.Plan.Plan+".")
	}
	t.Changed = asked
	return c.showTransfer(r, t)
}

// Planned identifies what a plan is of: the file, and how it is imported. An import is done only with that of the plan that was shown.
func (t transfer) Planned() string {
	return digest(fmt.Sprintf("%q %q %t %t", t.Text, t.Owner, t.Replace, t.Lock))
}
