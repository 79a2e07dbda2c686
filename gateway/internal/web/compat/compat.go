// Package compat answers the webhooks API of the survey platform Pollarix, /department/{id}/webhook/, so that its clients manage
// webhooks here without a change. A department is a tenant, and a webhook made here is a document of the tenant like any other: what
// this API shows and changes, /v1/webhooks does too.
//
// What the platform's page leaves open is decided as follows.
//
//   - 400 is a body that cannot be read: it is not JSON, a field has the wrong type or is missing, or `url` is no URL. 422 is a value
//     that can be read and is refused.
//   - Headers and addresses that are credentials are masked in answers. A client that sends back the object that it was given keeps
//     them. The platform shows them in clear text; here whoever may read a list, or its cached copy, does not learn the receivers'
//     credentials.
//   - The answer to a change has the changed webhook alone in the list, as in the page's example: a client that takes the first one
//     never takes another's.
//   - An update replaces what the platform's object has: name, address, events, headers and whether it is active, which an absent
//     `isActive` switches on. A document's other settings, such as its condition, stay.
package compat

import (
	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Options are the dependencies of the compatible API; all are required.
type Options struct {
	// Plan is the running configuration.
	Plan func() *decide.Plan
	// Book reads and changes the documents of tenants.
	Book *settings.Book
	// Sender sends tests.
	Sender *outbound.Sender
	Clock  clock.Clock
}

// API answers the routes. Make it with New; it is safe for concurrent use.
type API struct {
	Options
	tests tests
}

// New returns an API that is not mounted yet.
func New(o Options) *API { return &API{Options: o} }

// Prefix begins the path of every route.
const Prefix = "/department/"

const (
	department = "department"
	collection = Prefix + ":" + department + "/webhook/"
)

// row is a route and its handler, a method of API.
type row struct {
	serve func(*API, *route.Call) error
	route.Route
}

// table returns the rows in the order of the platform's page. Each path is answered with and without a slash at its end.
func table() []row {
	tooLarge := []int{fiber.StatusConflict, fiber.StatusRequestEntityTooLarge}
	rows := []row{
		{(*API).list, route.Route{
			ID: "listDepartmentWebhooks", Method: fiber.MethodGet, Path: collection, Scope: access.Read, For: "list webhooks as Pollarix' API does",
			Out: view.Department{},
		}},
		{(*API).create, route.Route{
			ID: "createDepartmentWebhook", Method: fiber.MethodPost, Path: collection, Scope: access.Settings, Once: true, For: "make a webhook",
			In: view.DepartmentRequest{}, Out: view.Department{}, Status: fiber.StatusCreated, Statuses: tooLarge,
		}},
		{(*API).create, route.Route{
			ID: "addDepartmentWebhook", Method: fiber.MethodPost, Path: collection + "add", Scope: access.Settings, Once: true, For: "make a webhook beside others",
			In: view.DepartmentRequest{}, Out: view.Department{}, Status: fiber.StatusCreated, Statuses: tooLarge,
		}},
		{(*API).update, route.Route{
			ID: "updateDepartmentWebhook", Method: fiber.MethodPut, Path: collection + ":name", Scope: access.Settings, For: "change a webhook; the body is all of it, with its `id`",
			In: view.DepartmentRequest{}, Out: view.Department{}, Statuses: tooLarge,
		}},
		{(*API).delete, route.Route{
			ID: "deleteDepartmentWebhook", Method: fiber.MethodDelete, Path: collection + ":name", Scope: access.Settings, For: "delete a webhook",
			Status: fiber.StatusNoContent, Statuses: tooLarge[:1],
		}},
		{(*API).testSend, route.Route{
			ID: "testDepartmentWebhook", Method: fiber.MethodPost, Path: collection + "test-send", Scope: access.Settings, TestSend: true,
			For: "send a test to an address; a tenant sends at most 10 tests of all kinds a minute",
			In:  view.TestSend{}, Out: view.TestSent{},
		}},
	}
	for i := range rows {
		rows[i].TenantIn = department
	}
	return rows
}

// Routes returns all routes.
func Routes() []route.Route {
	var all []route.Route
	for _, r := range table() {
		all = append(all, r.Route)
	}
	return all
}

// Bound returns all routes with their handlers.
func (a *API) Bound() []route.Bound {
	var all []route.Bound
	for _, r := range table() {
		all = append(all, route.Bound{Route: r.Route, Serve: func(c *route.Call) error { return r.serve(a, c) }})
	}
	return all
}
