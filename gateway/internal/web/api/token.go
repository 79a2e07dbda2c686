package api

import (
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// webhookProduct is the product of the destinations that are webhooks.
const webhookProduct = "webhook"

// plantToken stores a connection's first refresh token.
func (a *API) plantToken(c *route.Call) error {
	d, err := a.connection(c)
	if err != nil {
		return err
	}
	token, err := refreshToken(c.Body())
	if err != nil {
		return err
	}
	at, err := a.actor.PlantToken(c.Base, d, token)
	if err != nil {
		return vaultError(actError(err))
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewStoredToken(d, at))
}

// connection returns the connection that the path names.
func (a *API) connection(c *route.Call) (*config.Destination, error) {
	name := c.Segment("name")
	var names []string
	for _, d := range a.Plan().DestinationsOf(c.Tenant) {
		if d.Product == webhookProduct {
			continue
		}
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return nil, noSuch("connection", name, names)
}

// refreshToken reads the body {"refresh_token": "…"}. No error quotes it.
func refreshToken(body []byte) (string, error) {
	const form = `write {"refresh_token": "…"}`
	var asked struct {
		RefreshToken *string `json:"refresh_token"`
	}
	decoder := json.NewDecoder(strings.NewReader(string(body)))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&asked)
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something follows")
		}
	}
	switch {
	case !json.Valid(body):
		return "", answer.NewProblem(fiber.StatusBadRequest, view.Validation, "the body is not JSON: "+form)
	case err != nil:
		return "", answer.Invalid("the body is not a refresh token: "+form, "refresh_token")
	case asked.RefreshToken == nil || *asked.RefreshToken == "":
		return "", answer.Invalid("the refresh token is missing: "+form, "refresh_token")
	}
	return *asked.RefreshToken, nil
}

// reseal seals anew what is sealed with an older key. It is for the operator, who has the keys; a token belongs to a tenant.
func (a *API) reseal(c *route.Call) error {
	if c.Grant != access.Socket {
		return answer.NewProblem(fiber.StatusForbidden, view.Permission, "secrets are sealed anew over the control socket only")
	}
	r, err := a.Vault.Reseal(c.Base)
	if err != nil {
		return vaultError(err)
	}
	return answer.JSON(c.Ctx, fiber.StatusOK, view.NewResealed(r))
}

// vaultError turns a missing key into an answer that says what to set.
func vaultError(err error) error {
	if errors.Is(err, vault.ErrNoKey) {
		return answer.Unavailable(err.Error(), answer.DefaultRetryAfter, err)
	}
	return err
}
