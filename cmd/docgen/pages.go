package main

import (
	"bytes"
	"encoding"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/declared"
	"github.com/surveygate/surveygate/rules/expression"
)

const derived = "<!-- Derived by `make docs`; change the Go source instead. -->\n"

// pages are the README of every product, and the table of all.
func pages(src *source) ([]file, error) {
	readme, err := os.ReadFile(filepath.Join(src.root, "README.md"))
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	var files []file
	var table, further strings.Builder
	for _, name := range connectors.Names() {
		if strings.Contains(name, ".") {
			continue // an action stands on its product's page
		}
		p, err := src.read("connectors/" + name)
		if err != nil {
			return nil, err
		}
		page, err := productPage(src, name, opening(p, name))
		if err != nil {
			return nil, fmt.Errorf("page of %s: %w", name, err)
		}
		files = append(files, file{path: "connectors/" + name + "/README.md", text: page})
		row, err := tableRow(name, opening(p, name))
		if err != nil {
			return nil, err
		}
		table.WriteString(row)
		if link := "(connectors/" + name + "/README.md)"; !bytes.Contains(outside(readme, furtherProducts), []byte(link)) {
			fmt.Fprintf(&further, "- [%s]%s: %s\n", name, link, firstSentence(opening(p, name)))
		}
	}
	all := derived + `
# Connectors

What surveygate tells other products. A connector is a struct of settings and a ` + "`Build`" + ` that makes a request of an
event; the gateway sends, signs, retries, limits and records. Each page shows the settings and the real bytes.

| Connector | What it does | Actions | Own limit |
| --- | --- | --- | --- |
` + table.String()
	return append(files,
		file{path: "connectors/README.md", text: []byte(all)},
		file{path: "README.md", text: []byte(further.String()), part: furtherProducts},
	), nil
}

// furtherProducts is the part of the first page that lists the products which its table leaves out.
const furtherProducts = "further products"

func tableRow(name, what string) (string, error) {
	c, ok := connectors.New(name)
	if !ok {
		return "", fmt.Errorf("%s is not registered", name)
	}
	limit := "none"
	if l, ok := c.(connectors.RateLimiter); ok {
		limit = l.Rate().String()
	}
	if n, ok := c.(connectors.ConcurrencyLimiter); ok {
		limit = strings.TrimPrefix(limit+", ", "none, ") + fmt.Sprintf("%d at once", n.Concurrency())
	}
	actions := make([]string, 0, 2)
	for _, action := range connectors.Actions(name) {
		actions = append(actions, "`."+action+"`")
	}
	return fmt.Sprintf("| [%s](%s/README.md) | %s | %s | %s |\n", name, name, firstSentence(what), strings.Join(actions, " "), limit), nil
}

// opening is the package comment as a page begins: `Package slack posts …` becomes `Posts …`.
func opening(p *declared.Package, name string) string {
	text := strings.TrimPrefix(p.Comment, "Package "+name+" ")
	if text == "" {
		return ""
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

func firstSentence(text string) string {
	text, _, _ = strings.Cut(text, "\n")
	if end := strings.Index(text, ". "); end >= 0 {
		return text[:end+1]
	}
	return text
}

func productPage(src *source, name, what string) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n# %s\n\n%s\n", derived, name, what)
	for _, one := range append([]string{name}, actionsOf(name)...) {
		c, ok := connectors.New(one)
		if !ok {
			return nil, fmt.Errorf("%s is not registered", one)
		}
		title := "Settings"
		if one != name {
			title = "Settings of " + one
		}
		if err := settingsTable(&b, src, title, c); err != nil {
			return nil, err
		}
	}
	if err := example(&b, src.root, name); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func actionsOf(name string) []string {
	var all []string
	for _, action := range connectors.Actions(name) {
		all = append(all, name+"."+action)
	}
	return all
}

func settingsTable(b *bytes.Buffer, src *source, title string, c connectors.Connector) error {
	fmt.Fprintf(b, "\n## %s\n\n| Setting | Kind | Meaning |\n| --- | --- | --- |\n", title)
	for _, s := range declared.Settings(reflect.TypeOf(c)) {
		comment, err := src.comment(s.In, s.Field.Name)
		if err != nil {
			return err
		}
		kind := kindOf(s.Field.Type)
		if s.Required {
			kind += ", required"
		}
		if value := reflect.ValueOf(c).Elem().FieldByIndex(s.Index); !value.IsZero() {
			kind += fmt.Sprintf(", default `%v`", value.Interface())
		}
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", s.Name, kind, strings.ReplaceAll(comment, "|", `\|`))
	}
	return nil
}

var kinds = map[reflect.Type]string{
	reflect.TypeFor[connectors.Secret]():         "secret",
	reflect.TypeFor[connectors.HeaderValue]():    "secret",
	reflect.TypeFor[connectors.PrivateKey]():     "secret of several lines",
	reflect.TypeFor[connectors.ServiceAccount](): "secret of several lines",
	reflect.TypeFor[connectors.URL]():            "URL",
	reflect.TypeFor[connectors.BaseURL]():        "URL",
	reflect.TypeFor[connectors.Signature]():      "word or mapping",
	reflect.TypeFor[expression.Text]():           "text with `{{ }}`",
	reflect.TypeFor[expression.Value]():          "value",
	reflect.TypeFor[expression.Values]():         "mapping of values",
	reflect.TypeFor[[]expression.Text]():         "list of texts with `{{ }}`",
	reflect.TypeFor[time.Duration]():             "duration",
}

func kindOf(t reflect.Type) string {
	if kind, ok := kinds[t]; ok {
		return kind
	}
	if worded, ok := reflect.TypeAssert[connectors.Enum](reflect.Zero(t)); ok {
		return "`" + strings.Join(worded.Words(), "`, `") + "`"
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[connectors.ValuesUnmarshaler]()) {
		return "word or mapping of values"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "word"
	case reflect.Slice:
		list := "list of " + strings.Replace(kindOf(t.Elem())+"s", "mapping of valuess", "mappings of values", 1)
		if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
			return "text, or " + list
		}
		return list
	case reflect.Map:
		return "mapping of " + kindOf(t.Elem()) + "s"
	}
	return "number"
}

// example ends a page with the product's first transcript: the configuration as a whole file, then the bytes.
func example(b *bytes.Buffer, root, name string) error {
	all, err := transcripts(root, name)
	if err != nil {
		return err
	}
	archive := all[0]
	lead := "is sent as"
	fmt.Fprintf(b, "\n## An example\n\n%s\n", strings.TrimSpace(string(archive.Comment)))
	for _, part := range archive.Files {
		text := strings.TrimRight(string(part.Data), "\n")
		switch part.Name {
		case "config.yaml":
			fmt.Fprintf(b, "\nWith this configuration\n\n```yaml\n%s\n```\n", whole(name, text))
		case "event.json":
			fmt.Fprintf(b, "\nthis event\n\n```json\n%s\n```\n", text)
		case "request":
			fmt.Fprintf(b, "\n%s\n\n```http\n%s\n```\n", lead, text)
			lead = "is followed by"
		case "response":
			fmt.Fprintf(b, "\nand the answer\n\n```http\n%s\n```\n", text)
		case "verdict":
			fmt.Fprintf(b, "\nmeans `%s`.\n", text)
			return nil
		}
	}
	return nil
}

// whole makes a file that can be loaded of a transcript's settings. A webhook stands in a list of its own.
func whole(name, settings string) string {
	if name == "webhook" {
		return "webhooks:\n  - name: receiver\n    events: [response.completed]\n" + indent(settings, 4)
	}
	return "connections:\n  example:\n    " + name + ":\n" + indent(settings, 6) + "\nrules:\n  - name: every-response\n    send: [example]"
}

func indent(text string, by int) string {
	space := strings.Repeat(" ", by)
	return space + strings.ReplaceAll(text, "\n", "\n"+space)
}
