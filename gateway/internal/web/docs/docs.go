// Package docs serves the description of the API: the OpenAPI document at /openapi.json, and pages made of it at /docs. The pages
// have no script and load nothing from elsewhere.
package docs

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/netip"
	"regexp"
	"strings"
	"sync"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/configs"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
)

//go:embed page.html style.css
var files embed.FS

// policy allows the page its style sheet, and nothing else.
const policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// exampleAddress is the gateway's address in examples. Readers are shown the address that they came by.
const exampleAddress = "http://127.0.0.1:8080"

// site is everything that is served, by path. It is never changed.
type site struct {
	document []byte
	pages    map[string][]byte
	style    []byte
}

// rendered makes the site once, when it is first asked for.
var rendered = sync.OnceValues(render)

func render() (*site, error) {
	document, err := openapi.Parse(configs.OpenAPI)
	if err != nil {
		return nil, fmt.Errorf("description of the API: %w", err)
	}
	layout, err := template.New("page.html").Funcs(template.FuncMap{"parts": parts}).ParseFS(files, "page.html")
	if err != nil {
		return nil, fmt.Errorf("page of the description: %w", err)
	}
	s := &site{document: configs.OpenAPI, pages: map[string][]byte{}}
	if s.style, err = files.ReadFile("style.css"); err != nil {
		return nil, err
	}
	for _, p := range pagesOf(document) {
		var b bytes.Buffer
		if err := layout.Execute(&b, p); err != nil {
			return nil, fmt.Errorf("page of the description: %w", err)
		}
		s.pages[p.Path] = b.Bytes()
	}
	return s, nil
}

// Mount adds the paths. isProxy reports whether an address is a trusted proxy, whose X-Forwarded-Proto counts.
func Mount(app *fiber.App, isProxy func(netip.Addr) bool) {
	app.Get("/openapi.json", func(c *fiber.Ctx) error {
		s, err := rendered()
		if err != nil {
			return err
		}
		url := address(c, isProxy)
		if url == "" {
			return answer.Bytes(c, fiber.StatusOK, s.document)
		}
		return answer.Bytes(c, fiber.StatusOK, bytes.Replace(s.document, []byte(`"url": "/"`), []byte(`"url": "`+url+`"`), 1))
	})
	show := func(c *fiber.Ctx) error {
		s, err := rendered()
		if err != nil {
			return err
		}
		page, ok := s.pages[strings.TrimSuffix(c.Path(), "/")]
		if !ok {
			return answer.NotFound("page; /docs lists them")
		}
		if url := address(c, isProxy); url != "" {
			page = bytes.ReplaceAll(page, []byte(exampleAddress), []byte(url))
		}
		return send(c, fiber.MIMETextHTMLCharsetUTF8, page)
	}
	app.Get("/docs/style.css", func(c *fiber.Ctx) error {
		s, err := rendered()
		if err != nil {
			return err
		}
		return send(c, "text/css; charset=utf-8", s.style)
	})
	app.Get("/docs", show)
	app.Get("/docs/:page", show)
}

func send(c *fiber.Ctx, contentType string, body []byte) error {
	c.Set(fiber.HeaderContentType, contentType)
	c.Set(fiber.HeaderContentSecurityPolicy, policy)
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderCacheControl, "no-cache")
	c.Response().SetBodyRaw(body)
	return nil
}

// plainHost is a host with its port as it can stand in a URL, in JSON and in HTML without being escaped.
var plainHost = regexp.MustCompile(`^[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?$|^\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?$`)

// address returns the URL that the caller reached the gateway by; empty if it cannot be said.
func address(c *fiber.Ctx, isProxy func(netip.Addr) bool) string {
	host := string(c.Request().Host())
	if !plainHost.MatchString(host) {
		return ""
	}
	scheme := "http"
	peer, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	if string(c.Request().Header.Peek(fiber.HeaderXForwardedProto)) == "https" && isProxy(peer.Unmap()) {
		scheme = "https"
	}
	return scheme + "://" + host
}
