package manage

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

// ofAPI is the provenance of the documents that this package makes.
const ofAPI = "api"

// NewWebhookName returns a new name of a webhook, which no file has: files may not use names that begin so.
func NewWebhookName() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // it cannot fail
	return "wh_" + strings.ToLower(base32.StdEncoding.EncodeToString(random[:]))[:12]
}

func (k kind) post(m *Management, c *route.Call) error {
	spec, err := sent(c, "a JSON object")
	if err != nil {
		return err
	}
	name := NewWebhookName()
	none := uint64(0)
	err = k.write(m, c, name, settings.Change{Spec: spec, If: &none})
	if err == nil && c.Response().StatusCode() == fiber.StatusCreated {
		c.Set(fiber.HeaderLocation, k.collection()+"/"+name)
	}
	return err
}

func (k kind) put(m *Management, c *route.Call) error {
	name := c.Segment("name")
	if !access.ValidName(name) {
		return answer.Invalid("this is not a "+string(k)+"'s name: a name has a-z, 0-9, _ and -, begins with a letter or digit, and has at most 128 characters", "name")
	}
	spec, err := sent(c, "a JSON object")
	if err != nil {
		return err
	}
	return k.write(m, c, name, settings.Change{Spec: spec})
}

func (k kind) patch(m *Management, c *route.Call) error {
	spec, err := sent(c, "a JSON object")
	if err != nil {
		return err
	}
	return k.write(m, c, c.Segment("name"), settings.Change{Spec: spec, Patch: true})
}

// body returns a copy of the request's body: fasthttp reuses its buffer.
func body(c *route.Call) []byte { return bytes.Clone(c.Body()) }

// sent returns the document, the patch or the file that a request sends; what says which. Without one, the request would change nothing, or everything, and seem to
// succeed.
func sent(c *route.Call, what string) ([]byte, error) {
	text := body(c)
	switch string(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff")))) {
	case "":
		return nil, answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is empty; send "+what)
	case "null", "~":
		return nil, answer.Invalid("the body must be " + what + ", and is null")
	}
	return text, nil
}

// write makes one change, and answers with the document.
func (k kind) write(m *Management, c *route.Call, name string, change settings.Change) error {
	result, err := k.apply(m, c, name, change)
	if err != nil {
		return err
	}
	v := k.view(m.Plan(), c.Tenant, &result.Entry, false)
	status := fiber.StatusOK
	switch {
	case c.Asked("dry_run") == "true":
		v.Common().Would = string(result.Would)
	case result.Would == settings.WouldCreate:
		status = fiber.StatusCreated
	}
	if !result.Made.IsZero() && status == fiber.StatusCreated {
		if c.Replay, err = event.Marshal(v); err != nil { // an answer that is kept has no secret
			return err
		}
		v.Common().Secret = result.Made.Expose()
	}
	return show(c, status, v)
}

// apply makes one change.
func (k kind) apply(m *Management, c *route.Call, name string, change settings.Change) (*settings.Result, error) {
	dry, err := c.Flag("dry_run")
	if err != nil {
		return nil, err
	}
	change.Name = k.document(name)
	if change.If == nil {
		if err := m.precondition(c, &change); err != nil {
			return nil, err
		}
	}
	results, err := m.Book.Apply(c.Base, c.Tenant, []settings.Change{change}, settings.How{By: c.By(), Provenance: ofAPI, DryRun: dry, MakeSecrets: true})
	if err != nil {
		return nil, k.refusal(m, c, name, err)
	}
	return &results[0], nil
}

// refusal is Refusal for a change of one document: where there is none, a file may have the name.
func (k kind) refusal(m *Management, c *route.Call, name string, err error) error {
	if !errors.Is(err, settings.ErrNoDocument) {
		return Refusal(err)
	}
	if files := k.ofFiles(m.Plan(), c.Tenant, name, false); len(files) > 0 {
		return definedInFile(name, files[0].Common().At)
	}
	return k.none(m.Plan(), c)
}

// remove deletes a document. Deliveries that wait for a destination become dead letters, which the answer counts.
func (k kind) remove(m *Management, c *route.Call) error {
	name := c.Segment("name")
	result, err := k.apply(m, c, name, settings.Change{Delete: true})
	if err != nil {
		return err
	}
	deleted := view.Deleted{Name: name, Kind: string(k), Waiting: result.Waiting, Pending: result.Entry.Pending}
	if c.Asked("dry_run") == "true" {
		deleted.Would = string(result.Would)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, deleted)
}
