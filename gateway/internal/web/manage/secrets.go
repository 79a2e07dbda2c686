package manage

import (
	"errors"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

// The time for which a webhook's former secret counts beside a new one.
const (
	defaultOverlap = 24 * time.Hour
	maxOverlap     = 30 * 24 * time.Hour
)

func secretRows() []row {
	const path = "/v1/webhooks/:name/secrets"
	refused := []int{fiber.StatusConflict}
	return []row{
		{(*Management).secrets, route.Route{Method: fiber.MethodGet, Path: path, Scope: access.Read, For: "list the secrets of a webhook, without their values", Out: view.Page[view.WebhookSecret]{}}},
		{(*Management).addSecret, route.Route{
			Method: fiber.MethodPost, Path: path, Scope: access.Settings, Query: []string{"dry_run"}, Once: true,
			For: "make another secret, which is shown once; the former one ends after `overlap`",
			In:  route.Optional{Body: view.NewWebhookSecret{}}, Out: view.WebhookSecret{}, Status: fiber.StatusCreated, Statuses: refused, Conditional: true,
		}},
		{(*Management).removeSecret, route.Route{
			Method: fiber.MethodDelete, Path: path + "/:id", Scope: access.Settings, Query: []string{"dry_run"}, For: "end a secret of a webhook now", Out: view.Page[view.WebhookSecret]{}, Statuses: refused, Conditional: true,
		}},
	}
}

// secrets lists the secrets of a webhook. Those of a webhook of a file have no hints: the file has them.
func (m *Management) secrets(c *route.Call) error {
	name := c.Segment("name")
	all, err := m.Book.Secrets(c.Base, c.Tenant, webhooks.document(name))
	if err != nil {
		return webhooks.refusal(m, c, name, err)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, secretPage(all))
}

func secretPage(all []settings.Secret) view.Page[view.WebhookSecret] {
	p := view.Page[view.WebhookSecret]{Data: make([]view.WebhookSecret, len(all))}
	for i := range all {
		p.Data[i] = secretView(&all[i])
	}
	return p
}

func secretView(s *settings.Secret) view.WebhookSecret {
	v := view.WebhookSecret{ID: s.ID, Hint: s.Hint, Since: view.Time{Time: s.Since}}
	if s.Until != nil {
		v.Until = view.Time{Time: *s.Until}
	}
	return v
}

func (m *Management) addSecret(c *route.Call) error {
	name := c.Segment("name")
	change := settings.Change{Name: webhooks.document(name)}
	if _, err := m.Book.Secrets(c.Base, c.Tenant, change.Name); err != nil {
		return webhooks.refusal(m, c, name, err)
	}
	overlap, err := overlapOf(c.Body())
	if err != nil {
		return err
	}
	if err := m.precondition(c, &change); err != nil {
		return err
	}
	dry, err := c.Flag("dry_run")
	if err != nil {
		return err
	}
	result, err := m.Book.AddSecret(c.Base, c.Tenant, change.Name, overlap, change.If, settings.How{By: c.By(), DryRun: dry})
	if err != nil {
		return webhooks.refusal(m, c, name, err)
	}
	if dry { // the secret that is made another time is another one
		return answer.JSON(c.Ctx, fiber.StatusOK, view.WebhookSecret{Since: view.Time{Time: m.Clock.Now().UTC()}, Would: string(settings.WouldCreate)})
	}
	var v view.WebhookSecret
	for _, s := range result.Secrets {
		if s.Value == result.Made {
			v = secretView(&s.Secret)
		}
	}
	if c.Replay, err = event.Marshal(v); err != nil { // an answer that is kept has no secret
		return err
	}
	v.Secret = result.Made.Expose()
	return answer.JSON(c.Ctx, fiber.StatusCreated, v)
}

// overlapOf reads the body of a request for a new secret, which may be empty.
func overlapOf(body []byte) (time.Duration, error) {
	var asked view.NewWebhookSecret
	if len(body) > 0 {
		if err := route.ReadJSON(body, &asked); err != nil {
			return 0, err
		}
	}
	if asked.Overlap == "" {
		return defaultOverlap, nil
	}
	overlap, err := time.ParseDuration(asked.Overlap)
	if err != nil || overlap < 0 || overlap > maxOverlap {
		return 0, answer.Invalid("this is how long the former secret still counts, from 0s to 720h", "overlap")
	}
	return overlap, nil
}

func (m *Management) removeSecret(c *route.Call) error {
	name := c.Segment("name")
	change := settings.Change{Name: webhooks.document(name)}
	if err := m.precondition(c, &change); err != nil {
		return err
	}
	dry, err := c.Flag("dry_run")
	if err != nil {
		return err
	}
	result, err := m.Book.RemoveSecret(c.Base, c.Tenant, change.Name, c.Segment("id"), change.If, settings.How{By: c.By(), DryRun: dry})
	if err != nil {
		return webhooks.refusal(m, c, name, err)
	}
	all := make([]settings.Secret, len(result.Secrets))
	for i, s := range result.Secrets {
		all[i] = s.Secret
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, secretPage(all))
}

// secretRefusal returns the answer to an error about secrets of webhooks; nil if it is another error.
func secretRefusal(err error) *answer.Problem {
	switch {
	case errors.Is(err, settings.ErrNoSecret):
		return answer.NotFound("secret")
	case errors.Is(err, settings.ErrTwoSecrets), errors.Is(err, settings.ErrLastSecret), errors.Is(err, settings.ErrUnsigned):
		return answer.Conflict(err.Error())
	}
	return nil
}
