package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/browser"
	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

const consoleTokens = `
tokens:
  - {name: admin, secret: admin-0123456789-0123456789-01234, scopes: [read, write, publish, settings, admin]}
sources:
  pollqr: {profile: pollqr, secrets: [0123456789abcdef0123456789abcdef]}
`

const consoleAdmin = "admin-0123456789-0123456789-01234"

// visit is a browser's, or a program's with a token, which follows no redirect.
type visit struct {
	*site
	client http.Client
	token  string
}

func (s *site) visit(token string) *visit {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &visit{s, http.Client{
		Jar: jar, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, token}
}

// does makes a request with headers, as name and value, and returns the body and where the answer leads to.
func (v *visit) does(method, target, body string, status int, headers ...string) (text, to string) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	if v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := v.client.Do(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	read, err := io.ReadAll(res.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	if res.StatusCode != status {
		v.t.Errorf("%s %s: %d, want %d: %.300s", method, target, res.StatusCode, status, read)
	}
	return string(read), res.Header.Get("Location")
}

// The console on an address of its own is there with the API, and nowhere else; the portal and the platforms' requests stay where they are.
func TestConsoleApart(t *testing.T) {
	t.Parallel()
	said := &lines{}
	s := newSite(t)
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	s.writeText("console: {listen: 127.0.0.1:0}" + consoleTokens)
	s.start()
	public, own := "http://"+s.started.Address, "http://"+s.started.Console
	if s.started.Console == "" || public == own {
		t.Fatalf("%+v", s.started)
	}

	anyone, program := s.visit(""), s.visit(consoleAdmin)
	for _, path := range []string{"/", "/console/", "/console/login", "/console/open?k=x", "/console/t/default/", "/console/assets/site.css"} {
		anyone.does("GET", public+path, "", 404)
	}
	anyone.does("POST", public+"/console/login", "token="+consoleAdmin, 404, "Content-Type", "application/x-www-form-urlencoded")
	anyone.does("GET", own+"/portal/open?k=x", "", 404)
	anyone.does("POST", own+"/in/pollqr", "{}", 404)
	anyone.does("POST", public+"/in/pollqr", "{}", 401)
	anyone.does("GET", public+"/portal/open?k=x", "", 410)
	if _, to := anyone.does("GET", own+"/", "", 303); to != "/console/" {
		t.Errorf("/ leads to %s", to)
	}
	for _, base := range []string{public, own} {
		anyone.does("GET", base+"/readyz", "", 200)
		anyone.does("GET", base+"/v1/overview", "", 401)
		program.does("GET", base+"/v1/overview", "", 200)
	}

	// Links name the address that each site has, wherever they are asked for.
	link, err := s.client.LoginLink(t.Context(), "/console/deliveries")
	if err != nil {
		t.Fatal(err)
	}
	for _, made := range []string{link.URL, s.made(program, public+"/v1/login-links", "{}"), s.made(program, own+"/v1/login-links", "{}")} {
		if !strings.HasPrefix(made, own+"/console/open?k=") {
			t.Errorf("a login link is %s", made)
		}
	}
	for _, base := range []string{public, own} {
		if made := s.made(program, base+"/v1/tenants/default/portal-links", `{"capabilities":["webhooks"]}`); !strings.HasPrefix(made, public+"/portal/open?k=") {
			t.Errorf("asked for at %s, a portal link is %s", base, made)
		}
	}

	// A session begins and ends there; only its own pages may use its cookie to change something.
	person := s.visit("")
	if _, to := person.does("GET", link.URL, "", 303); to != "/console/deliveries" {
		t.Errorf("the link leads to %s", to)
	}
	if text, _ := person.does("GET", own+"/console/t/default/", "", 200); !strings.Contains(text, "pollqr") {
		t.Errorf("the overview shows no source: %s", text)
	}
	person.does("POST", own+"/v1/destinations/x/pause", "{}", 403, "Origin", public)
	person.does("POST", own+"/v1/destinations/x/pause", "{}", 404, "Origin", own)
	form := []string{"Origin", own, "Content-Type", "application/x-www-form-urlencoded"}
	if _, to := person.does("POST", own+"/console/look", "theme=dark&back=/console/t/default/events", 303, form...); to != "/console/t/default/events" {
		t.Errorf("the form leads to %s", to)
	}
	person.does("POST", own+"/console/look", "theme=dark", 403, "Origin", public, "Content-Type", "application/x-www-form-urlencoded")
	if _, to := person.does("POST", own+"/console/logout", "", 303, form...); to != "/console/login" {
		t.Errorf("the logout leads to %s", to)
	}
	person.does("GET", own+"/v1/overview", "", 401)

	// A reload changes no listener.
	s.writeText("console: off" + consoleTokens)
	if r := s.reload("true"); r.Status != view.ReloadLoaded {
		t.Errorf("%+v", r)
	}
	if !strings.Contains(said.String(), `msg="a setting takes effect at the next start only" setting=console`) {
		t.Error("the log does not say that the setting waits for the next start")
	}
	anyone.does("GET", own+"/console/login", "", 200)
	if _, err := s.client.LoginLink(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// Behind a proxy of its own, the console is where its `public_url` says: links begin with that, and pages stay below its path.
func TestConsoleBehindItsProxy(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.writeText("console: {listen: 127.0.0.1:0, public_url: https://tools.example.com/surveys/}" + consoleTokens)
	s.start()
	const begin = "https://tools.example.com/surveys/console/open?k="
	link, err := s.client.LoginLink(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	own := "http://" + s.started.Console
	program := s.visit(consoleAdmin)
	for _, made := range []string{link.URL, s.made(program, "http://"+s.started.Address+"/v1/login-links", "{}"), s.made(program, own+"/v1/login-links", "{}")} {
		if !strings.HasPrefix(made, begin) {
			t.Errorf("a login link is %s", made)
		}
	}
	if _, to := s.visit("").does("GET", own+"/console/t/default/", "", 303); !strings.HasPrefix(to, "/surveys/console/login") {
		t.Errorf("without a session, it leads to %s", to)
	}
}

// made returns the URL of a link that a program makes.
func (s *site) made(program *visit, target, body string) string {
	s.t.Helper()
	text, _ := program.does("POST", target, body, 201)
	_, after, _ := strings.Cut(text, `"url":"`)
	made, _, _ := strings.Cut(after, `"`)
	return made
}

// Without a console there is no portal, and links to them say why they cannot be made.
func TestConsoleOff(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.writeText("console: off" + consoleTokens)
	s.start()
	base := "http://" + s.started.Address
	anyone, program := s.visit(""), s.visit(consoleAdmin)
	for _, path := range []string{"/", "/console/", "/console/login", "/console/open?k=x", "/portal/", "/portal/open?k=x", "/console/assets/site.css"} {
		anyone.does("GET", base+path, "", 404)
	}
	anyone.does("POST", base+"/console/login", `{"token":"`+consoleAdmin+`"}`, 404)
	anyone.does("POST", base+"/in/pollqr", "{}", 401)
	program.does("GET", base+"/v1/overview", "", 200)
	_, err := s.client.LoginLink(t.Context(), "")
	refused := &client.APIError{}
	if !errors.As(err, &refused) || refused.Status != http.StatusConflict || !strings.Contains(err.Error(), "this gateway has no console: `console` is `off` in its configuration") {
		t.Errorf("a login link: %v", err)
	}
	if text, _ := program.does("POST", base+"/v1/tenants/default/portal-links", `{"capabilities":["webhooks"]}`, 409); !strings.Contains(text, "this gateway has no portal") {
		t.Errorf("a portal link: %s", text)
	}
}

// An address that is taken ends the start, and the error says whose it was to be.
func TestConsoleAddressIsTaken(t *testing.T) {
	t.Parallel()
	other := newSite(t)
	other.start()
	s := newSite(t)
	s.writeText(fmt.Sprintf("console: {listen: %q}", other.started.Address))
	if err := Run(context.Background(), s.options); err == nil || !strings.Contains(err.Error(), "the console: listen tcp "+other.started.Address) {
		t.Errorf("it ends with %v", err)
	}
	s.options.Listen = "127.0.0.1:9"
	s.writeText("console: {listen: 127.0.0.1:9}")
	if err := Run(context.Background(), s.options); err == nil || !strings.Contains(err.Error(), "the console cannot have `127.0.0.1:9` for itself") {
		t.Errorf("it ends with %v", err)
	}
}

// A browser at the console's own address: signed in by a link, live, and signed out, with and without scripts.
func TestConsoleApartInABrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.writeText("console: {listen: 127.0.0.1:0}" + consoleTokens)
	s.start()
	p := browser.Start(t).Page(t, browser.Look{})
	for _, look := range []browser.Look{{}, {Width: browser.Narrow, NoScript: true}} {
		p.Look(look)
		link, err := s.client.LoginLink(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		p.Open(link.URL)
		p.WaitText("h1", "Overview")
		if !look.NoScript {
			s.publish("seen", 3)
			p.WaitText("#now .tile b", "1") // by the signals of the console's own address, once the figures are written
		}
		p.Check()
		p.Follow("=Sign out")
		p.WaitText(".note", "You are signed out.")
		if at, err := url.Parse(p.URL()); err != nil || at.Host != s.started.Console || at.Path != "/console/login" {
			t.Errorf("it ends at %s", p.URL())
		}
		p.Check()
		p.Open("http://" + s.started.Console + "/console/t/default/")
		p.WaitText("h1", "Sign in")
	}
}
