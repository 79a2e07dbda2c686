package console

import (
	"fmt"
	"net/url"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// theirs is what somebody else made of a document while it was edited.
type theirs struct {
	// Setting is nil if it was deleted.
	Setting *view.Setting
	Version string
	Text    string
	// Lines compare it with what was typed: + is in the typed text alone.
	Lines []changedLine
}

// made is a document that was written, with the secret that was made for it.
type made struct {
	view.Setting
	Part string
}

// write asks the API to keep the text.
func (e *editor) write(r *page.Request, dry bool) (*view.Setting, error) {
	ask := page.Ask{
		Method: fiber.MethodPut, Path: e.path(e.Name), Raw: e.parsed.json(), Type: fiber.MIMEApplicationJSON, Match: e.Version, NewOnly: e.Version == "",
	}
	if e.New && e.Name == "" && e.Kind == "webhook" {
		ask.Method, ask.Path, ask.NewOnly = fiber.MethodPost, "/v1/webhooks", false
	}
	if dry {
		ask.Query = url.Values{"dry_run": {"true"}}
	}
	a, err := r.Ask(ask)
	if err != nil {
		return nil, err
	}
	var s view.Setting
	return &s, a.Decode(&s)
}

// save keeps the text. A text that stops deliveries of the newest events is kept only with its digest in confirmed.
func (c *Console) save(r *page.Request, e *editor, confirmed string) error {
	if !e.parse() {
		r.Status = fiber.StatusUnprocessableEntity
		return c.showEditor(r, e)
	}
	if e.New && e.Name == "" && e.Kind != "webhook" {
		r.Status = fiber.StatusUnprocessableEntity
		e.Problem = &page.Problem{Status: r.Status, Title: "Not possible as it is", Detail: []view.Detail{{Msg: "give it a name, such as `detractors`", Loc: []string{"name"}}}}
		return c.showEditor(r, e)
	}
	would, err := e.write(r, true)
	if err != nil {
		return c.notSaved(r, e, err)
	}
	if would.Would == "nothing" {
		return r.See(e.shown(r), "Nothing was changed.")
	}
	if confirmed != digest(e.Text) && !e.New {
		if err := c.tryLast(r, e); err != nil {
			return err
		}
		switch d := e.Difference; {
		case d == nil:
			r.Status = fiber.StatusUnprocessableEntity
			return c.showEditor(r, e) // the editor says why
		case d.Busy:
			r.Status = fiber.StatusTooManyRequests
			e.Problem = &page.Problem{Status: r.Status, Title: "Not saved", Detail: []view.Detail{{Msg: "another try is running, so it is not known what this would stop: save again in a moment"}}}
			return c.showEditor(r, e)
		case d.Removed > 0:
			e.Confirm = digest(e.Text)
			return c.showEditor(r, e)
		}
	}
	s, err := e.write(r, false)
	if err != nil {
		return c.notSaved(r, e, err)
	}
	if s.Secret != "" {
		return r.Show("made", made{*s, e.Part})
	}
	e.Name = s.Name
	return r.See(e.shown(r), fmt.Sprintf("Saved: %s `%s`, version %d.", s.Kind, s.Name, s.Version))
}

// shown is the page that shows the document, to a visitor who may read it.
func (e *editor) shown(r *page.Request) string {
	if !r.May(access.Read) {
		return settingsPath
	}
	return "/" + e.Part + "/" + url.PathEscape(e.Name)
}

// notSaved shows why, with what was typed.
func (c *Console) notSaved(r *page.Request, e *editor, err error) error {
	problem := answer.FromError(err)
	shown := r.Refusal(err)
	switch {
	case shown == nil:
		return err
	case problem.Status == fiber.StatusPreconditionFailed && !e.New:
		if err := c.addTheirs(r, e); err != nil {
			return err
		}
		r.Status = fiber.StatusPreconditionFailed
		e.Problem = shown
	case problem.Status == fiber.StatusUnprocessableEntity && !isOfName(problem.Detail):
		e.Faults = e.parsed.refused(problem.Detail)
	default:
		e.Problem = shown
	}
	return c.showEditor(r, e)
}

// isOfName reports whether a refusal is of the document's name.
func isOfName(details []view.Detail) bool {
	return len(details) == 1 && len(details[0].Loc) == 1 && details[0].Loc[0] == "name"
}

// addTheirs reads what the document is now.
func (c *Console) addTheirs(r *page.Request, e *editor) error {
	var s view.Setting
	err := r.Read(e.path(e.Name), nil, &s)
	if err != nil && answer.FromError(err).Status != fiber.StatusNotFound {
		return err
	}
	e.Theirs = &theirs{}
	if err == nil {
		e.Theirs.Setting, e.Theirs.Version, e.Theirs.Text = &s, versionOf(&s), e.yaml(s.Spec)
		e.Theirs.Lines = compareLines(e.Theirs.Text, e.Text)
	}
	return nil
}

// deletion is what the page shows that asks whether to delete a document.
type deletion struct {
	*editable
	Setting    *view.Setting
	Waiting    int
	Difference *difference
	Problem    *page.Problem
	// Refused: it cannot be deleted now, as Problem says.
	Refused bool
}

// confirmDelete shows what the deletion of a document would stop.
func (c *Console) confirmDelete(r *page.Request) error { return c.showDelete(r, nil) }

func (c *Console) showDelete(r *page.Request, problem *page.Problem) error {
	if err := mayEdit(r); err != nil {
		return err
	}
	kind, s, err := c.document(r)
	if err != nil {
		return err
	}
	status := r.Status
	d := deletion{editable: kind, Setting: s, Problem: problem}
	a, err := r.Ask(page.Ask{Method: fiber.MethodDelete, Path: kind.path(s.Name), Query: url.Values{"dry_run": {"true"}}, Match: versionOf(s), DryRun: true})
	switch {
	case err == nil:
		var would view.Deleted
		if err := a.Decode(&would); err != nil {
			return err
		}
		d.Waiting = would.Waiting
	default:
		if d.Problem = r.Refusal(err); d.Problem == nil {
			return err
		}
		r.Status, d.Refused = status, true
		return r.Show("delete", d)
	}
	a, err = r.Ask(page.Ask{Method: fiber.MethodPost, Path: "/v1/try", DryRun: true, Body: view.Trial{
		Draft: kind.draft(s.Name, nil), Events: view.TrialEvents{Last: lastEvents}, Show: []string{"difference"},
	}})
	if err == nil { // else the page asks without the count
		tried := &view.Tried{}
		if err := a.Decode(tried); err != nil {
			return err
		}
		d.Difference = newDifference(tried)
	}
	r.Status = status
	return r.Show("delete", d)
}

func (c *Console) deleteDocument(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	kind, s, err := c.document(r)
	if err != nil {
		return err
	}
	a, err := r.Ask(page.Ask{Method: fiber.MethodDelete, Path: kind.path(s.Name), Match: form.Get("version")})
	if err != nil {
		if problem := r.Refusal(err); problem != nil {
			return c.showDelete(r, problem)
		}
		return err
	}
	var deleted view.Deleted
	if err := a.Decode(&deleted); err != nil {
		return err
	}
	note := "Deleted: " + kind.Kind + " `" + s.Name + "`."
	if deleted.Waiting > 0 {
		note += " " + strconv.Itoa(deleted.Waiting) + " deliveries that waited for it are dead letters now."
	}
	return r.See("/"+kind.Part, note)
}
