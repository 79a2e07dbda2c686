package web

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
)

var (
	pageLinks = regexp.MustCompile(`href="([^"]*)"`)
	pageIDs   = regexp.MustCompile(` id="([^"]*)"`)
)

// Every page of the description is served without a token and without scripts, every link in it leads somewhere, and every
// operation and every schema is on one.
func TestDocs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	found := map[string]bool{} // pages, and anchors in them
	waiting := []string{"/docs"}
	links := map[string]string{}
	for len(waiting) > 0 {
		path := waiting[0]
		waiting = waiting[1:]
		if found[path] {
			continue
		}
		found[path] = true
		got := r.ask(t, ask{path: path})
		if got.status != http.StatusOK {
			t.Errorf("%s: %d %s", path, got.status, got.body)
			continue
		}
		if !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") {
			continue
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: Content-Security-Policy: %s", path, policy)
		}
		for _, not := range []string{"<script", "style=", " onclick", "ZgotmplZ", "//cdn", "-00000000", "@acme.header", "| tee"} { // requests that are refused, or need a file
			if strings.Contains(got.body, not) {
				t.Errorf("%s has %s", path, not)
			}
		}
		for _, id := range pageIDs.FindAllStringSubmatch(got.body, -1) {
			found[path+"#"+id[1]] = true
		}
		for _, link := range pageLinks.FindAllStringSubmatch(got.body, -1) {
			to := link[1]
			if strings.HasPrefix(to, "#") {
				to = path + to
			}
			links[to] = path
			page, _, _ := strings.Cut(to, "#")
			waiting = append(waiting, page)
		}
	}
	for to, from := range links {
		if !found[to] {
			t.Errorf("%s: the link to %s leads nowhere", from, to)
		}
	}
	document := described().document
	for _, path := range document.Object("paths").Names() {
		for _, method := range document.Object("paths").Object(path).Names() {
			o := document.Object("paths").Object(path).Object(method)
			if at := fmt.Sprintf("/docs/%s#%s", o.List("tags")[0], o.Text("operationId")); !found[at] {
				t.Errorf("%s %s is not at %s", method, path, at)
			}
		}
	}
	for _, name := range document.Object("components").Object("schemas").Names() {
		if !found["/docs/schemas#"+name] {
			t.Errorf("the schema %s is on no page", name)
		}
	}
	if got := r.ask(t, ask{path: "/docs/nothing"}); got.status != http.StatusNotFound {
		t.Errorf("a page that is not there: %d", got.status)
	}
}

// The document names the address that the caller used, and nothing that is no address.
func TestDescriptionNamesItsServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for host, want := range map[string]string{
		"gateway.example:8443": "http://gateway.example:8443",
		"[::1]:8080":           "http://[::1]:8080",
		`x"},{"url":"evil`:     "/",
		"x<b>":                 "/",
		"under_score.example":  "/",
		"":                     "/",
	} {
		got := r.raw(t, "GET /openapi.json HTTP/1.1\r\nHost: "+host+"\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n")
		if got.status == http.StatusBadRequest && want == "/" {
			continue
		}
		document, err := openapi.Parse([]byte(got.body))
		if err != nil {
			t.Errorf("%s: %v in %.200s", host, err, got.body)
			continue
		}
		if url := document.List("servers")[0].(*openapi.Object).Text("url"); url != want {
			t.Errorf("Host %s: %s, want %s", host, url, want)
		}
		if page := r.raw(t, "GET /docs/events HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); host != "" && strings.Contains(page.body, host) != (want != "/") {
			t.Errorf("the page for Host %s", host)
		}
	}
}
