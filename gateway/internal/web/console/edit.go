package console

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/page"
)

func (c *Console) mountEditor() {
	c.get("/new/:kind", c.newDocument)
	c.post("/new/:kind", c.newDocument)
	for _, part := range []string{"rules", "destinations", "sources"} {
		c.get("/"+part+"/:name/edit", c.editDocument)
		c.post("/"+part+"/:name/edit", c.editDocument)
		c.get("/"+part+"/:name/delete", c.confirmDelete)
		c.post("/"+part+"/:name/delete", c.deleteDocument)
	}
}

// editable is a kind of documents, as the editor shows it.
type editable struct {
	Kind string
	// Part is the part of the menu that it belongs to.
	Part string
	// keys is the order in which a document shows its settings; others follow.
	keys []string
	// starter is the text of a new document.
	starter string
}

var editables = []editable{
	{
		Kind: "rule", Part: "rules", keys: []string{"title", "enabled", "events", "when", "delay", "once", "send", "tests"},
		starter: "events: [response.completed]\nwhen: nps_score <= 6\nsend:\n  - NAME_OF_A_DESTINATION\n",
	},
	{
		Kind: "webhook", Part: "destinations", keys: []string{"title", "enabled", "url", "events", "when", "headers", "preset", "body", "signature", "secrets"},
		starter: "url: https://hook.example.com/in\nevents: [response.completed]\n",
	},
	{
		Kind: "connection", Part: "destinations", keys: []string{"title", "enabled"},
		starter: "PRODUCT:\n  SETTING: its value\n",
	},
	{
		Kind: "source", Part: "sources", keys: []string{"title", "enabled", "profile", "secrets", "path_token", "unverified"},
		starter: "profile: pollqr\nsecrets: [the secret that the platform shows]\n",
	},
}

// beginning is the text of a new document; that of a connection names the products that there are.
func (k *editable) beginning() string {
	if k.Kind != "connection" {
		return k.starter
	}
	return "# PRODUCT is one of " + strings.Join(connectors.Products(), ", ") + "\n" + k.starter
}

func editableOf(kind string) *editable {
	for i := range editables {
		if editables[i].Kind == kind {
			return &editables[i]
		}
	}
	return nil
}

// collection is the key of its documents in a file and in a draft, and ends the path of all of them.
func (k *editable) collection() string { return k.Kind + "s" }

// PartName is the part as the menu names it.
func (k *editable) PartName() string { return strings.ToUpper(k.Part[:1]) + k.Part[1:] }

func (k *editable) path(name string) string { return page.Path("/v1/"+k.collection(), name) }

// isListed reports whether files have its objects as a list, and not by name.
func (k *editable) isListed() bool { return k.Kind == "rule" || k.Kind == "webhook" }

// editor is what the editor shows.
type editor struct {
	*editable
	// Name is the document's; New: there is none yet.
	Name string
	New  bool
	// Setting is the document that is there; nil for a new one.
	Setting *view.Setting
	// Version is that of the document which the text was made of.
	Version string
	// Text is the document in YAML, as it was typed.
	Text string
	// Event chooses what it is tried with: the id of an event, or the type of an example. Sample is the body of a platform in its place.
	Event, Sample string
	Events        []view.Event
	Types         view.EventTypes
	Problem       *page.Problem
	// Faults are those of the text, each with its line and a caret.
	Faults     []string
	Outcome    *trialOutcome
	Difference *difference
	// Confirm is the digest of a text that stops deliveries: it is saved if it is sent back.
	Confirm string
	Theirs  *theirs
	// AsFile is the text as a part of a file.
	AsFile string

	parsed *parsed
}

// IsCopy reports whether a file has the name, so that nothing can be saved here.
func (e *editor) IsCopy() bool { return e.Setting != nil && e.Setting.Provenance == "file" }

// Here is the path of the editor behind that of the tenant.
func (e *editor) Here() string {
	if e.New {
		return "/new/" + e.Kind
	}
	return "/" + e.Part + "/" + url.PathEscape(e.Name) + "/edit"
}

// draftName is the name that the text is tried under. A file's name belongs to the file.
func (e *editor) draftName() string {
	switch {
	case e.IsCopy():
		return e.Name[:min(len(e.Name), 120)] + "-copy"
	case e.Name == "":
		return "draft"
	}
	return e.Name
}

// take reads what the visitor typed.
func (e *editor) take(form url.Values) {
	e.Text = strings.ReplaceAll(form.Get("text"), "\r\n", "\n")
	e.Event, e.Sample = form.Get("event"), strings.TrimSpace(form.Get("sample"))
	e.Version = form.Get("version")
	if e.New {
		e.Name = strings.TrimSpace(form.Get("name"))
	}
}

func mayEdit(r *page.Request) error {
	if r.May(access.Settings) {
		return nil
	}
	return answer.NewProblem(fiber.StatusForbidden, view.Permission, "to edit, the session needs a token with the scope `settings`")
}

func (c *Console) newDocument(r *page.Request) error {
	kind := editableOf(r.Param("kind"))
	if kind == nil {
		return answer.NotFound("kind of documents")
	}
	if err := mayEdit(r); err != nil {
		return err
	}
	e := &editor{editable: kind, New: true, Text: kind.beginning(), Event: r.Query("event"), Name: r.Query("name")}
	return c.serveEditor(r, e)
}

func (c *Console) editDocument(r *page.Request) error {
	if err := mayEdit(r); err != nil {
		return err
	}
	kind, s, err := c.document(r)
	if kind := deletedKind(r, err); kind != nil {
		return c.serveEditor(r, &editor{editable: kind, Name: r.Param("name")})
	}
	if err != nil {
		return c.keepText(r, &editor{editable: postedKind(r), Name: r.Param("name")}, err)
	}
	e := &editor{editable: kind, Name: s.Name, Setting: s, Event: r.Query("event"), Version: versionOf(s)}
	e.Text = kind.yaml(s.Spec)
	return c.serveEditor(r, e)
}

func versionOf(s *view.Setting) string {
	if s.Version == 0 {
		return ""
	}
	return strconv.FormatUint(s.Version, 10)
}

// deletedKind is the kind of a document that was deleted while it was edited, as the form has it: its text is not lost with it. It is nil in
// all other cases.
func deletedKind(r *page.Request, err error) *editable {
	if err == nil || answer.FromError(err).Status != fiber.StatusNotFound {
		return nil
	}
	return postedKind(r)
}

// postedKind is the kind that a form of the editor has; nil where none was posted, or one of another part.
func postedKind(r *page.Request) *editable {
	if r.Ctx.Method() != fiber.MethodPost {
		return nil
	}
	form, err := r.Form()
	if err != nil {
		return nil
	}
	if kind := editableOf(form.Get("kind")); kind != nil && kind.Part == partOf(r) {
		return kind
	}
	return nil
}

// partOf is the part of the menu that a page of a document belongs to.
func partOf(r *page.Request) string {
	part, _, _ := strings.Cut(strings.TrimPrefix(string(r.Ctx.Context().Path()), Root+"/t/"+r.Tenant+"/"), "/")
	return part
}

// document reads what the path names: of destinations, a webhook or a connection.
func (c *Console) document(r *page.Request) (*editable, *view.Setting, error) {
	return documentOf(r, partOf(r), r.Param("name"))
}

func documentOf(r *page.Request, part, name string) (*editable, *view.Setting, error) {
	var missing error
	for i := range editables {
		if editables[i].Part != part {
			continue
		}
		var s view.Setting
		err := r.Read(editables[i].path(name), nil, &s)
		if err == nil {
			return &editables[i], &s, nil
		}
		if answer.FromError(err).Status != fiber.StatusNotFound {
			return nil, nil, err
		}
		missing = cmp.Or(missing, err)
	}
	return nil, nil, missing
}

// serveEditor answers a visit of the editor, whose state before what was typed is in e.
func (c *Console) serveEditor(r *page.Request, e *editor) error {
	if r.Ctx.Method() == fiber.MethodGet {
		if e.Setting != nil && (e.Setting.State == "broken" || e.Setting.State == "shadowed") && e.parse() {
			e.Faults = e.parsed.problems(e.Setting.Problems)
		}
		return c.showEditor(r, e)
	}
	form, err := r.Form()
	if err != nil {
		return err
	}
	e.take(form)
	if err := c.posted(r, e, form); err != nil {
		return c.keepText(r, e, err)
	}
	return nil
}

// keepText shows the text as it was typed, with the error that a question to the API ended with. Where nothing was typed, and for a part of
// the page, it returns the error.
func (c *Console) keepText(r *page.Request, e *editor, err error) error {
	problem := answer.FromError(err)
	if e.editable == nil || r.Ctx.Method() != fiber.MethodPost || r.Ctx.Context().QueryArgs().Has("part") || problem.Status == fiber.StatusInternalServerError {
		return err
	}
	form, formErr := r.Form()
	if formErr != nil {
		return formErr
	}
	e.take(form)
	e.Problem, r.Status = e.refused(problem, r), problem.Status
	return c.showEditor(r, e)
}

// refused is what the editor shows of a question to the API that ended with an error.
func (e *editor) refused(problem *answer.Problem, r *page.Request) *page.Problem {
	shown := leftOut(problem)
	shown.Title, shown.RequestID = "Not done", answer.RequestID(r.Ctx.Context())
	if problem.Status == fiber.StatusTooManyRequests {
		shown.Detail = append(slices.Clip(shown.Detail), view.Detail{Msg: "the text is as you typed it: wait a second, and send it again"})
	}
	return shown
}

// posted does what a form of the editor asks for.
func (c *Console) posted(r *page.Request, e *editor, form url.Values) error {
	switch {
	case r.Wants("outcome"):
		if err := c.tryEvent(r, e); err != nil {
			return err
		}
		return r.Part("edit", "typed", e)
	case r.Wants("difference"):
		if err := c.tryLast(r, e); err != nil {
			return err
		}
		return r.Part("edit", "difference", e)
	}
	confirmed := form.Get("confirmed")
	switch {
	case form.Has("over"): // over the version that the page shows beside the text; empty where it shows that there is none
		e.Version = form.Get("over")
		return c.save(r, e, confirmed)
	case form.Get("do") == "save" || confirmed != "":
		return c.save(r, e, confirmed)
	case form.Get("do") == "download":
		return c.download(r, e)
	}
	if err := c.tryEvent(r, e); err != nil {
		return err
	}
	if e.Outcome != nil && e.Problem == nil {
		if err := c.tryLast(r, e); err != nil {
			return err
		}
	}
	return c.showEditor(r, e)
}

// maxOffered bounds the events that the editor offers.
const maxOffered = 20

// showEditor shows the page with the events to choose from.
func (c *Console) showEditor(r *page.Request, e *editor) error {
	status := r.Status // of a refusal
	var events view.Page[view.Event]
	q := url.Values{"limit": {"100"}} // most may be of types that the document is not asked about
	if e.Kind == "source" && !e.New {
		q = url.Values{"limit": {fmt.Sprint(maxOffered)}, "source": {e.Name}}
	}
	var err error
	if r.May(access.Read) { // else the text can be saved all the same
		err = r.Together(
			func() error { return r.Read("/v1/events", q, &events) },
			func() error { return r.Read("/v1/event-types", nil, &e.Types) },
		)
	}
	if err != nil && r.Ctx.Method() != fiber.MethodPost {
		return err
	}
	if err != nil && e.Problem == nil { // the text that was typed is not lost with what stands beside it
		problem := answer.FromError(err)
		if e.Problem = e.refused(problem, r); status == 0 {
			status = problem.Status
		}
	}
	e.Events = e.asked(events.Data)
	if e.Event == "" && len(e.Events) > 0 {
		e.Event = e.Events[0].ID
	}
	if e.Event != "" && !strings.HasPrefix(e.Event, exampleOf) && !slices.ContainsFunc(e.Events, func(ev view.Event) bool { return ev.ID == e.Event }) {
		e.Events = append(e.Events, view.Event{ID: e.Event, Type: "event"})
	}
	if e.IsCopy() && e.parse() {
		e.AsFile = e.parsed.inFile(e)
	}
	r.Status = status
	return r.Show("edit", e)
}

// asked returns the newest events that the document is asked about; all events, if none of the newest is one.
func (e *editor) asked(all []view.Event) []view.Event {
	if (e.Kind == "rule" || e.Kind == "webhook") && e.parse() {
		types := e.parsed.events()
		if len(types) == 0 && e.Kind == "rule" {
			types = []string{"response.completed"}
		}
		if some := slices.DeleteFunc(slices.Clone(all), func(ev view.Event) bool { return !matchesType(types, ev.Type) }); len(some) > 0 {
			all = some
		}
	}
	return all[:min(len(all), maxOffered)]
}

// matchesType reports whether one of the types that a document names is the one.
func matchesType(types []string, is string) bool {
	return slices.ContainsFunc(types, func(name string) bool {
		head, open := strings.CutSuffix(name, "*")
		return name == is || open && strings.HasPrefix(is, head)
	})
}

// digest identifies a text that was confirmed.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

func (c *Console) download(r *page.Request, e *editor) error {
	if !e.parse() {
		return c.showEditor(r, e)
	}
	r.Ctx.Set(fiber.HeaderContentType, "application/yaml; charset=utf-8")
	r.Ctx.Set(fiber.HeaderContentDisposition, fmt.Sprintf("attachment; filename=%q", e.draftFile()))
	r.Ctx.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	r.Ctx.Set(fiber.HeaderCacheControl, "no-store")
	return r.Ctx.SendString(e.parsed.inFile(e))
}

// draftFile is the name of the file that is downloaded.
func (e *editor) draftFile() string {
	if access.ValidName(e.Name) {
		return e.Name + ".yaml"
	}
	return e.Kind + ".yaml"
}
