package portal

import (
	"net/url"
	"slices"
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (p *Portal) mountSettings() {
	p.get(access.CanWebhooks, "/webhooks/:name/settings", p.settings)
	p.post(access.CanWebhooks, "/webhooks/:name/settings", p.changeSettings)
	p.get(access.CanWebhooks, "/webhooks/:name/secrets", p.secrets)
	p.post(access.CanWebhooks, "/webhooks/:name/secrets", p.addSecret)
	p.post(access.CanWebhooks, "/webhooks/:name/secrets/:id/delete", p.endSecret)
	p.get(access.CanWebhooks, "/webhooks/:name/test", p.test)
	p.post(access.CanWebhooks, "/webhooks/:name/test", p.sendTest)
}

type settingsPage struct {
	visit
	Hook hook
	Form hookForm
	// Opened is the form as it was when it was opened.
	Opened hookForm
	// Stale: the settings are no longer those that the form was opened with. Changes are what is different now.
	Stale   bool
	Changes []change
	Choice  []eventChoice
	Bodies  []struct{ Value, Words string }
}

func (p *Portal) settings(r *page.Request) error { return p.showSettings(r, nil, nil) }

// showSettings shows the form: as it was posted, where something was refused.
func (p *Portal) showSettings(r *page.Request, posted *settingsPage, problem *page.Problem) error {
	h, err := p.readHead(r, r.Param("name"))
	if err != nil {
		return err
	}
	now := formOf(&h.Webhook)
	s := settingsPage{visit: visited(r, problem), Hook: h, Form: now, Opened: now, Bodies: bodies}
	if posted != nil {
		s.Form, s.Opened, s.Stale = posted.Form, posted.Opened, posted.Stale
		if s.Stale {
			s.Changes = s.Form.rebase(&s.Opened, &now, h.Body)
			s.Opened, s.Form.Version = now, now.Version // who saves once more has seen that
		}
	}
	if s.Choice, err = p.choices(r, &s.Form); err != nil {
		return err
	}
	return r.Show("settings", s)
}

func (p *Portal) changeSettings(r *page.Request) error {
	name := r.Param("name")
	values, err := r.Form()
	if err != nil {
		return err
	}
	var w view.Webhook
	if err := r.Read(page.Path("/v1/webhooks", name), nil, &w); err != nil {
		return err
	}
	var s settingsPage
	var damaged error
	s.Opened, damaged = readOpened(values, formOf(&w))
	var faults []view.Detail
	s.Form, faults = readForm(values, &s.Opened)
	var known bool
	if s.Form.Version, known = versionOf(values); !known || damaged != nil {
		s.Stale = true
		msg := unknownVersion
		if damaged != nil {
			msg = damaged.Error()
		}
		faults = append(faults, view.Detail{Msg: msg, Type: view.Validation})
	}
	if len(faults) > 0 {
		return p.showSettings(r, &s, r.Refusal(&answer.Problem{Status: fiber.StatusUnprocessableEntity, Detail: faults}))
	}
	ask := page.Ask{Method: fiber.MethodPatch, Path: page.Path("/v1/webhooks", name), Body: s.Form.patch(&s.Opened), Match: strconv.FormatUint(s.Form.Version, 10)}
	if _, err := r.Ask(ask); err != nil {
		if problem := r.Refusal(err); problem != nil && problem.Status != fiber.StatusNotFound {
			if s.Stale = problem.Status == fiber.StatusPreconditionFailed; s.Stale {
				problem.Detail = []view.Detail{{Msg: "somebody else has saved these settings since you opened them, and nothing of yours is saved yet", Type: view.Conflict}}
			}
			return p.showSettings(r, &s, problem)
		}
		return err
	}
	return r.See("/webhooks/"+url.PathEscape(name)+"/settings", "The settings are saved.")
}

// versionOf returns the version that a form was filled from; known: the form says one.
func versionOf(values url.Values) (version uint64, known bool) {
	version, err := strconv.ParseUint(values.Get("version"), 10, 64)
	return version, err == nil && version > 0
}

// unknownVersion is what a form is refused with that does not say what it was filled from.
const unknownVersion = "the form does not say which version of the settings it changes: compare it with what is there now, and save again"

type secretsPage struct {
	visit
	Hook    hook
	Secrets []view.WebhookSecret
	// Made is a new one, which is shown this once.
	Made string
	// Ending is the one that the visitor asked to end.
	Ending *view.WebhookSecret
}

func (p *Portal) secrets(r *page.Request) error { return p.showSecrets(r, secretsPage{}) }

func (p *Portal) showSecrets(r *page.Request, s secretsPage) error {
	name := r.Param("name")
	var list view.Page[view.WebhookSecret]
	err := r.Together(
		func() (err error) { s.Hook, err = p.readHead(r, name); return err },
		func() error { return r.Read(page.Path("/v1/webhooks", name, "secrets"), nil, &list) })
	unread := err != nil && s.Made != "" // that is shown in any case: nobody can ask for it again
	if err != nil && !unread {
		return err
	}
	if unread {
		s.Hook, list.Data = unreadHook(name), nil
	}
	s.visit, s.Secrets = visited(r, s.Problem), list.Data
	s.Unread = unread
	if s.Ending != nil {
		at := slices.IndexFunc(s.Secrets, func(each view.WebhookSecret) bool { return each.ID == s.Ending.ID })
		if at < 0 {
			return answer.NotFound("secret")
		}
		s.Ending = &s.Secrets[at]
	}
	return r.Show("secrets", s)
}

func (p *Portal) addSecret(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	answer, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/webhooks", r.Param("name"), "secrets"), Body: view.NewWebhookSecret{Overlap: form.Get("overlap")}})
	if err != nil {
		if problem := r.Refusal(err); problem != nil && problem.Status != fiber.StatusNotFound {
			return p.showSecrets(r, secretsPage{visit: visit{Problem: problem}})
		}
		return err
	}
	var made view.WebhookSecret
	if err := answer.Decode(&made); err != nil {
		return err
	}
	return p.showSecrets(r, secretsPage{Made: made.Secret})
}

// endSecret ends a secret; without `sure` in the form, it asks first.
func (p *Portal) endSecret(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	name, id := r.Param("name"), r.Param("id")
	if form.Get("sure") != "1" {
		return p.showSecrets(r, secretsPage{Ending: &view.WebhookSecret{ID: id}})
	}
	if _, err := r.Ask(page.Ask{Method: fiber.MethodDelete, Path: page.Path("/v1/webhooks", name, "secrets", id)}); err != nil {
		if problem := r.Refusal(err); problem != nil {
			return p.showSecrets(r, secretsPage{visit: visit{Problem: problem}})
		}
		return err
	}
	return r.See("/webhooks/"+url.PathEscape(name)+"/secrets", "The secret has ended.")
}

type testPage struct {
	visit
	Hook  hook
	Types []view.EventType
	// Type is the one that was chosen; empty: the type of tests.
	Type string
	// Sent is the test with its first attempt; nil before.
	Sent *view.Tested
}

// Attempt is the first attempt of the test; nil where there was none yet.
func (t *testPage) Attempt() *view.Attempt {
	if t.Sent == nil || len(t.Sent.Log) == 0 {
		return nil
	}
	return &t.Sent.Log[0]
}

func (p *Portal) test(r *page.Request) error { return p.showTest(r, testPage{Type: r.Query("type")}) }

func (p *Portal) showTest(r *page.Request, t testPage) error {
	var types view.EventTypes
	err := r.Together(
		func() (err error) { t.Hook, err = p.readHead(r, r.Param("name")); return err },
		func() error { return r.Read("/v1/event-types", nil, &types) })
	unread := err != nil && t.Sent != nil // the test was sent: what came of it is shown in any case
	if err != nil && !unread {
		return err
	}
	if unread {
		t.Hook = unreadHook(r.Param("name"))
	}
	t.visit, t.Types = visited(r, t.Problem), types.Data
	t.Unread = unread
	return r.Show("test", &t)
}

func (p *Portal) sendTest(r *page.Request) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	t := testPage{Type: form.Get("type")}
	answer, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/webhooks", r.Param("name"), "test"), Body: view.Test{Type: t.Type}})
	if err != nil {
		if t.Problem = r.Refusal(err); t.Problem == nil || t.Problem.Status == fiber.StatusNotFound {
			return err
		}
		return p.showTest(r, t)
	}
	t.Sent = &view.Tested{}
	if err := answer.Decode(t.Sent); err != nil {
		return err
	}
	return p.showTest(r, t)
}
