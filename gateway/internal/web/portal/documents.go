package portal

import (
	"net/url"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

// kind is a kind of documents that the portal shows as text: connections and rules.
type kind struct {
	// one is `connection`, many `connections`, title `Connections`.
	one, many, title string
	needs            access.Capability
	// example is what a new one begins with, about says what it is for.
	example, about string
}

var (
	connectionKind = kind{
		one: "connection", many: "connections", title: "Connections", needs: access.CanConnections, about: "A connection is a product that events are sent to, with its credentials.",
		example: "{\n  \"PRODUCT\": {\n    \"SETTING\": \"…\"\n  }\n}\n",
	}
	ruleKind = kind{
		one: "rule", many: "rules", title: "Rules", needs: access.CanRules, about: "A rule decides which events are sent where.",
		example: "{\n  \"events\": [\"response.completed\"],\n  \"when\": \"nps_score <= 6\",\n  \"send\": [\"…\"]\n}\n",
	}
)

func (p *Portal) mountDocuments() {
	for _, k := range []kind{connectionKind, ruleKind} {
		path := "/" + k.many
		p.get(k.needs, path, func(r *page.Request) error { return p.documents(r, k) })
		p.get(k.needs, "/new/"+k.one, func(r *page.Request) error {
			return r.Show("document", documentPage{visit: visited(r, nil), Kind: k.view(), New: true, Text: k.example})
		})
		p.post(k.needs, "/new/"+k.one, func(r *page.Request) error { return p.saveDocument(r, k, "") })
		p.get(k.needs, path+"/:name", func(r *page.Request) error { return p.showDocument(r, k, r.Param("name"), nil, nil) })
		p.post(k.needs, path+"/:name", func(r *page.Request) error { return p.saveDocument(r, k, r.Param("name")) })
		p.post(k.needs, path+"/:name/switch", func(r *page.Request) error { return p.switchDocument(r, k) })
		p.post(k.needs, path+"/:name/delete", func(r *page.Request) error {
			return p.remove(r, k.one, r.Param("name"), k.label)
		})
	}
	p.post(access.CanConnections, "/connections/:name/test", p.testConnection)
}

// label returns the name for people of a document, once it is known that it is there.
func (k kind) label(r *page.Request, name string) (string, error) {
	var d documentView
	return name, r.Read(page.Path("/v1/"+k.many, name), nil, &d)
}

// kindView is a kind as templates know it.
type kindView struct{ One, Many, Title, About string }

func (k kind) view() kindView {
	v := kindView{k.one, k.many, k.title, k.about}
	if k.one == connectionKind.one {
		v.About += " The products are " + strings.Join(connectors.Products(), ", ") + "."
	}
	return v
}

// documentView is what connections and rules have in common, and what only one of them has.
type documentView struct {
	view.Setting
	Enabled bool        `json:"enabled"`
	Product string      `json:"product"`
	Events  []string    `json:"events"`
	When    string      `json:"when"`
	Send    []view.Step `json:"send"`
}

// Fixed reports whether the visitor cannot change it.
func (d documentView) Fixed() bool { return d.Provenance == "file" || d.Locked }

type documents struct {
	visit
	Kind kindView
	List []documentView
	Next *string
	Here string
}

func (p *Portal) documents(r *page.Request, k kind) error {
	var list view.Page[documentView]
	if err := r.Read("/v1/"+k.many, url.Values{"limit": {"50"}, "cursor": {r.Query("cursor")}}, &list); err != nil {
		return err
	}
	return r.Show("documents", documents{visited(r, nil), k.view(), list.Data, list.Next, r.Base() + "/" + k.many + "?"})
}

type documentPage struct {
	visit
	Kind kindView
	New  bool
	documentView
	// Text is the document in the form, Version that of the document which the form was filled from.
	Text    string
	Version uint64
	// Now is the document as it is, where it is no longer the one that the form was filled from.
	Now string
	// Sent is a test with its first attempt; nil before.
	Sent *view.Tested
}

// Attempt is the first attempt of the test; nil where there was none yet.
func (d documentPage) Attempt() *view.Attempt {
	if d.Sent == nil || len(d.Sent.Log) == 0 {
		return nil
	}
	return &d.Sent.Log[0]
}

// showDocument shows a document; with posted, the form as it was sent.
func (p *Portal) showDocument(r *page.Request, k kind, name string, posted *documentPage, problem *page.Problem) error {
	d := documentPage{visit: visited(r, problem), Kind: k.view()}
	if err := r.Read(page.Path("/v1/"+k.many, name), nil, &d.documentView); err != nil {
		switch again := r.Refusal(err); {
		case posted == nil || again == nil:
			return err
		case posted.Sent == nil: // what was typed stays
			posted.Problem = problem
			if isMissing(err) {
				again.Detail = append(again.Detail, view.Detail{Msg: "to make it again, save what you typed", Type: view.NotFound})
				posted.New, posted.Problem = true, again
			}
			return r.Show("document", *posted)
		}
		r.Status = 0
		d.Unread, d.Name, d.Sent = true, name, posted.Sent // the test was sent: what came of it is shown in any case
		return r.Show("document", d)
	}
	d.Text, d.Version = indented(d.Spec), d.Setting.Version
	if posted != nil {
		d.Sent = posted.Sent
		switch {
		case posted.Sent != nil:
		case posted.Version == 0: // who saves once more has seen what is there now
			d.Now, d.Text = d.Text, posted.Text
		default:
			d.Text, d.Version = posted.Text, posted.Version
		}
	}
	return r.Show("document", d)
}

// saveDocument writes a document as it stands in the form; name is empty for a new one, whose name is in the form.
func (p *Portal) saveDocument(r *page.Request, k kind, name string) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	isNew := name == ""
	if isNew {
		name = strings.TrimSpace(form.Get("name"))
	}
	posted := documentPage{visit: visited(r, nil), Kind: k.view(), New: isNew, Text: form.Get("text")}
	posted.Name = name
	var refused error
	switch known := false; {
	case isNew && (name == "" || name == "." || name == ".."): // the path would be another one
		refused = answer.Invalid("give it a name: lower-case letters, digits, _ and -")
	case !isNew:
		if posted.Version, known = versionOf(form); !known {
			refused = answer.Invalid(unknownVersion)
		}
	}
	if refused == nil {
		ask := page.Ask{Method: fiber.MethodPut, Path: page.Path("/v1/"+k.many, name), Raw: []byte(posted.Text), Type: fiber.MIMEApplicationJSON, NewOnly: isNew}
		if !isNew {
			ask.Match = strconv.FormatUint(posted.Version, 10)
		}
		_, refused = r.Ask(ask)
	}
	if refused != nil {
		problem := r.Refusal(refused)
		if problem == nil {
			return refused
		}
		stale := problem.Status == fiber.StatusPreconditionFailed
		switch {
		case stale && isNew:
			problem.Title = "The name is taken"
			problem.Detail = []view.Detail{{Msg: "there is a " + k.one + " `" + name + "` already: choose another name", Type: view.Conflict}}
		case stale:
			posted.Version = 0
			problem.Detail = []view.Detail{{Msg: "somebody else has saved this " + k.one + " since you opened it, and nothing of yours is saved yet", Type: view.Conflict}}
		}
		if isNew {
			posted.Problem = problem
			return r.Show("document", posted)
		}
		return p.showDocument(r, k, name, &posted, problem)
	}
	return r.See("/"+k.many+"/"+url.PathEscape(name), "The "+k.one+" is saved.")
}

// switchDocument switches a document on or off.
func (p *Portal) switchDocument(r *page.Request, k kind) error {
	form, err := r.Form()
	if err != nil {
		return err
	}
	name, on := r.Param("name"), form.Get("on") == "1"
	if !on && form.Get("sure") != "1" {
		return p.askOff(r, k.one, name, "switch", k.label)
	}
	ask := page.Ask{Method: fiber.MethodPatch, Path: page.Path("/v1/"+k.many, name), Body: map[string]bool{"enabled": on}}
	if _, err := r.Ask(ask); err != nil {
		if problem := r.Refusal(err); problem != nil && problem.Status != fiber.StatusNotFound {
			return p.showDocument(r, k, name, nil, problem)
		}
		return err
	}
	note := "The " + k.one + " is on."
	if !on {
		note = "The " + k.one + " is off."
	}
	return r.See("/"+k.many+"/"+url.PathEscape(name), note)
}

func (p *Portal) testConnection(r *page.Request) error {
	name := r.Param("name")
	form, err := r.Form()
	if err != nil {
		return err
	}
	answer, err := r.Ask(page.Ask{Method: fiber.MethodPost, Path: page.Path("/v1/connections", name, "test"), Body: view.Test{Email: strings.TrimSpace(form.Get("email"))}})
	if err != nil {
		if problem := r.Refusal(err); problem != nil && problem.Status != fiber.StatusNotFound {
			return p.showDocument(r, connectionKind, name, nil, problem)
		}
		return err
	}
	d := &documentPage{Sent: &view.Tested{}}
	if err := answer.Decode(d.Sent); err != nil {
		return err
	}
	return p.showDocument(r, connectionKind, name, d, nil)
}
