package client

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// Tenant is a tenant: its title, limits and metadata, and what it has.
type Tenant = view.Tenant

func tenantPath(id string) string { return "/v1/tenants/" + url.PathEscape(id) }

// Tenants lists all tenants, by id.
func (c *Client) Tenants(ctx context.Context) ([]Tenant, error) {
	return everything[Tenant](ctx, c, "/v1/tenants")
}

// Tenant returns one tenant.
func (c *Client) Tenant(ctx context.Context, id string) (*Tenant, error) {
	t := &Tenant{}
	return t, c.Do(ctx, Call{Method: http.MethodGet, Path: tenantPath(id), Into: t})
}

// PutTenant makes a tenant, or replaces its title, limits and metadata. isNew reports whether it had no record.
func (c *Client) PutTenant(ctx context.Context, id string, spec []byte, on Condition) (t *Tenant, isNew bool, err error) {
	t = &Tenant{}
	status := 0
	err = c.Do(ctx, on.call(Call{Method: http.MethodPut, Path: tenantPath(id), Body: spec, ContentType: "application/json", Status: &status, Into: t}))
	return t, status == http.StatusCreated, err
}

// ChangeTenant makes a tenant, or changes what a merge patch names: null takes it out, and what is absent stays.
func (c *Client) ChangeTenant(ctx context.Context, id string, patch []byte, on Condition) (t *Tenant, isNew bool, err error) {
	t = &Tenant{}
	status := 0
	err = c.Do(ctx, on.call(Call{
		Method: http.MethodPatch, Path: tenantPath(id), Body: patch, ContentType: "application/merge-patch+json", Status: &status, Into: t,
	}))
	if !isStatus(err, http.StatusNotFound) || on.Version > 0 {
		return t, status == http.StatusCreated, err
	}
	spec, err := withoutNulls(patch)
	if err != nil {
		return nil, false, err
	}
	return c.PutTenant(ctx, id, spec, on)
}

// RestoreTenant makes a tenant again that was deleted, for the same customer, who gets what is kept of it. patch is what ChangeTenant
// takes. One that is there already is refused.
func (c *Client) RestoreTenant(ctx context.Context, id string, patch []byte) (*Tenant, error) {
	spec, err := withoutNulls(patch)
	if err != nil {
		return nil, err
	}
	t := &Tenant{}
	return t, c.Do(ctx, Call{
		Method: http.MethodPut, Path: tenantPath(id), Query: url.Values{"restore": {"true"}}, Header: map[string]string{"If-None-Match": "*"},
		Body: spec, ContentType: "application/json", Into: t,
	})
}

// withoutNulls returns what a merge patch makes of nothing.
func withoutNulls(patch []byte) ([]byte, error) {
	var values map[string]any
	decoder := json.NewDecoder(bytes.NewReader(patch))
	decoder.UseNumber()
	if err := decoder.Decode(&values); err != nil {
		return nil, err
	}
	var prune func(map[string]any)
	prune = func(m map[string]any) {
		for key, value := range m {
			if inner, ok := value.(map[string]any); ok {
				prune(inner)
			}
			if value == nil {
				delete(m, key)
			}
		}
	}
	prune(values)
	return json.Marshal(values)
}

// DeleteTenant deletes a tenant that owns nothing. With cascade it begins a job that deletes what it owns first, and returns the job;
// nil: the tenant is deleted.
func (c *Client) DeleteTenant(ctx context.Context, id string, cascade bool, on Condition) (*Job, error) {
	call := on.call(Call{Method: http.MethodDelete, Path: tenantPath(id)})
	if cascade {
		call.Query = url.Values{"cascade": {"true"}}
	}
	status, j := 0, &Job{}
	call.Status, call.Into = &status, j
	if err := c.Do(ctx, call); err != nil || status == http.StatusNoContent {
		return nil, err
	}
	return j, nil
}

// Job returns a job that deletes a tenant, and how far it came.
func (c *Client) Job(ctx context.Context, id string) (*Job, error) {
	j := &Job{}
	return j, c.Do(ctx, Call{Method: http.MethodGet, Path: "/v1/jobs/" + url.PathEscape(id), Into: j})
}
