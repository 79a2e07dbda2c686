package page

import (
	"cmp"
	"encoding/base64"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Frame is what every page has around its own content: the value that templates of pages begin with.
type Frame struct {
	// Data is the page's own.
	Data any
	// Menu are the pages that the head leads to.
	Menu []Item
	// Title stands in the window's title behind the page's; Logo is the address of an image in place of the mark, Brand of a text.
	Title, Brand, Logo string
	// Tenant is whose page it is; Who visits. Everywhere: the visitor reaches every tenant, and so may choose one.
	Tenant, Who string
	Everywhere  bool
	// Live is the address of the signals; empty: the page stands still.
	Live string
	// Theme is light, dark, or empty for the choice of the system. Accent is a colour of the site's own style sheet, as 2b6cb0.
	Theme, Accent string
	// Sheet is the file in assets of a style sheet that the site has beside the shared one; empty: none.
	Sheet string
	// Local shows times in the browser's time zone; Keys: shortcuts work.
	Local, Keys bool
	// Note is shown once.
	Note string
	// Framed: the page is shown in a page of another site.
	Framed bool
	// Address is Request.Address.
	Address string
	Now     time.Time
	// Out is where the visitor ends the session; empty where nobody can.
	Out string
}

// The cookies of pages. Neither is a secret: a page of another origin cannot set them, because of the prefix or the host.
const (
	noteCookie = "sg-note"
	lookCookie = "sg-look"
)

const maxNote = 500

func (r *Request) frame(page string, data any) *Frame {
	s := r.site
	f := &Frame{Data: data, Brand: "surveygate", Title: "surveygate", Tenant: r.Tenant, Address: r.Address(), Now: s.Clock.Now(), Keys: true}
	if r.Grant != nil {
		f.Who, f.Everywhere = r.Grant.By(), r.Everywhere()
	}
	if s.Menu != nil && r.Grant != nil {
		f.Menu = s.Menu(r)
	}
	for choice := range strings.SplitSeq(r.Ctx.Cookies(lookCookie), ".") {
		switch choice {
		case "light", "dark":
			f.Theme = strings.Clone(choice)
		case "local":
			f.Local = true
		case "nokeys":
			f.Keys = false
		}
	}
	f.Note = r.takeNote()
	if s.Prepare != nil {
		s.Prepare(r, f)
	}
	return f
}

// look sets how pages look in this browser, and leads back to the page that the form was on.
func look(r *Request) error {
	if err := route.SameOrigin(&r.Ctx.Request().Header, false); err != nil {
		return err
	}
	form, err := r.Form()
	if err != nil {
		return err
	}
	r.Look(form.Get("theme"), form.Get("times") == "local", form.Get("keys") == "off")
	back := form.Get("back")
	if !strings.HasPrefix(back, r.site.Root+"/") || strings.ContainsAny(back, "\\\r\n") {
		back = r.site.Root + "/"
	}
	return r.SeeAt(strings.TrimPrefix(back, r.site.Root), "")
}

// Look sets how pages look in this browser: a theme (light, dark or empty), local times, and no keyboard shortcuts.
func (r *Request) Look(theme string, local, noKeys bool) {
	var words []string
	if theme == "light" || theme == "dark" {
		words = append(words, theme)
	}
	if local {
		words = append(words, "local")
	}
	if noKeys {
		words = append(words, "nokeys")
	}
	r.setCookie(lookCookie, strings.Join(words, "."), int((365 * 24 * time.Hour).Seconds()))
}

func (r *Request) setNote(note string) {
	if len(note) > maxNote {
		note = strings.ToValidUTF8(note[:maxNote], "") + "…"
	}
	r.setCookie(noteCookie, base64.RawURLEncoding.EncodeToString([]byte(note)), 30)
}

// takeNote returns the note of the page before, and makes the browser forget it.
func (r *Request) takeNote() string {
	value := r.Ctx.Cookies(noteCookie)
	if value == "" {
		return ""
	}
	r.setCookie(noteCookie, "", -1)
	note, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(note) > maxNote+len("…") || !utf8.Valid(note) {
		return ""
	}
	return string(note)
}

func (r *Request) setCookie(name, value string, seconds int) {
	c := fasthttp.AcquireCookie()
	defer fasthttp.ReleaseCookie(c)
	c.SetKey(name)
	c.SetValue(value)
	c.SetPath(cmp.Or(r.Root(), "/"))
	c.SetHTTPOnly(true)
	c.SetSameSite(fasthttp.CookieSameSiteLaxMode)
	c.SetSecure(!route.IsLocal(string(r.Ctx.Request().Host())))
	if r.site.Frames != nil && r.site.Frames(r) != "" {
		c.SetSecure(true)
		c.SetSameSite(fasthttp.CookieSameSiteNoneMode)
		c.SetPartitioned(true)
	}
	if seconds > 0 {
		c.SetMaxAge(seconds)
	} else {
		c.SetExpire(fasthttp.CookieExpireDelete)
	}
	r.Ctx.Response().Header.SetCookie(c)
}

// Problem is what a page shows of a problem.
type Problem struct {
	Status    int
	Title     string
	Detail    []view.Detail
	RequestID string
}

var problemTitles = map[int]string{
	fiber.StatusForbidden: "Not allowed", fiber.StatusNotFound: "Not found", fiber.StatusConflict: "Not possible now", fiber.StatusPreconditionFailed: "Changed meanwhile",
	fiber.StatusUnprocessableEntity: "Not possible as it is", fiber.StatusTooManyRequests: "Too many requests", fiber.StatusServiceUnavailable: "Not available now",
	fiber.StatusGone: "Ended", fiber.StatusBadRequest: "Not understood", fiber.StatusUnauthorized: "Not signed in",
}

func problemView(p *answer.Problem, id string) *Problem {
	return &Problem{Status: p.Status, Title: cmp.Or(problemTitles[p.Status], "Something went wrong"), Detail: p.Detail, RequestID: id}
}

// Refusal returns what a page shows of an error of Ask that is the visitor's to mend, such as a field of a form: of the statuses 400, 403,
// 404, 409, 412, 422 and 429. It is nil for all others, which the page returns. The page is then shown with the problem's status.
func (r *Request) Refusal(err error) *Problem {
	p := answer.FromError(err)
	switch p.Status {
	case fiber.StatusBadRequest, fiber.StatusForbidden, fiber.StatusNotFound, fiber.StatusConflict, fiber.StatusPreconditionFailed, fiber.StatusUnprocessableEntity,
		fiber.StatusTooManyRequests, fiber.StatusRequestEntityTooLarge:
		return r.shown(p)
	}
	return nil
}

// shown returns what a page shows of a problem, with whose status it is shown.
func (r *Request) shown(p *answer.Problem) *Problem {
	r.Status = p.Status
	return problemView(p, answer.RequestID(r.Ctx.Context()))
}
