package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
)

const preface = `## Every setting of surveygate, with what it is. Derived by ` + "`make docs`" + `; change the Go source instead.
##
## To use a setting, take away the first # of its line and of the lines it stands below. Names in capitals are
## yours to choose. Settings that exclude each other stand side by side: this is to read and to copy from.
## ${NAME} stands for an environment variable, ${file:/run/secrets/name} for a file.
`

// samples are what stands for the value of a setting, by its name, where its type alone would say little; by its place
// and its name where the name says several things. A product's settings have what its transcripts write.
var samples = map[string]string{
	"age":               "7d",
	"at_most.count":     "20",
	"at_most.per":       "1h",
	"at_most.then":      "skip",
	"allow_addresses":   `["127.0.0.0/8"]`,
	"allow_from":        `["203.0.113.0/24"]`,
	"trusted_proxies":   `["10.0.0.0/8"]`,
	"base_url":          "https://proxy.example.com",
	"body":              "raw",
	"bytes":             "10GiB",
	"ca":                "company-ca.pem",
	"candidates":        "[raw, compact]",
	"cert":              "client.pem",
	"count":             "1000000",
	"contact_cap.by":    "respondent",
	"contact_cap.count": "1",
	"contact_cap.per":   "30d",
	"data":              "./surveygate-data",
	"encoding":          "hex",
	"events":            "[response.completed]",
	"expect":            "[NAME]",
	"field":             "signature",
	"format":            "unix",
	"given":             "{nps_score: 3, email: jo@example.com}",
	"hash":              "sha256",
	"header":            "X-Signature",
	"headers":           `{X-Token: "${NAME}"}`,
	"key":               `"{secret}"`,
	"key_file":          "/run/secrets/surveygate-key",
	"kind":              "hmac",
	"listen":            "127.0.0.1:8080",
	"name":              "example",
	"path":              "data.token",
	"per_destination":   "10000",
	"prefix":            `"sha256="`,
	"profile":           "pollqr",
	"query":             "token",
	"quiet.from":        `"22:00"`,
	"quiet.to":          `"08:00"`,
	"redis":             `"${REDIS_URL}"`,
	"retry":             "standard",
	"roles":             `{"3": email}`,
	"scopes":            "[read, publish]",
	"secret_encoding":   "base64",
	"secret_prefix":     "whsec_",
	"send":              `[NAME, {NAME-slack: {text: "NPS {{ nps_score }}"}, as: loud}]`,
	"settle":            "2m",
	"separator":         `" "`,
	"signed":            `"{body}"`,
	"tenant":            "default",
	"tls.key":           "client.key",
	"timezone":          "Europe/Istanbul",
	"url":               "https://hook.example.com/in",
	"user":              "survey",
	"when":              "nps_score <= 6",
}

// node is a part of a JSON Schema.
type node struct {
	Ref         string           `json:"$ref"`
	Type        any              `json:"type"`
	Enum        []string         `json:"enum"`
	Examples    []string         `json:"examples"`
	Description string           `json:"description"`
	Properties  map[string]*node `json:"properties"`
	Extra       json.RawMessage  `json:"additionalProperties"`
	Items       *node            `json:"items"`
	AnyOf       []*node          `json:"anyOf"`
	Not         *node            `json:"not"`
	Required    []string         `json:"required"`
	WriteOnly   bool             `json:"writeOnly"`
	Defs        map[string]*node `json:"$defs"`
}

// writer writes the reference: prose as comments, settings as lines to uncomment.
type writer struct {
	bytes.Buffer
	root   string // folder of the module
	defs   map[string]*node
	within string // the setting whose own settings are written
	order  *node  // the same schema, whose descriptions are numbers in the order of the structs
	// written is what transcripts write for each setting of the product whose settings are written.
	written map[string][]string
}

// writeReference makes the reference configuration of the schema.
func writeReference(root string, schema []byte) ([]byte, error) {
	// JSON objects have no order, but Schema asks for comments in the order of the structs.
	asked := 0
	numbered, err := config.Schema(func(string, string) string { asked++; return strconv.Itoa(asked) })
	if err != nil {
		return nil, err
	}
	var top, order node
	if err := json.Unmarshal(schema, &top); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(numbered, &order); err != nil {
		return nil, err
	}
	w := &writer{root: root, defs: top.Defs, order: &order}
	w.WriteString(preface)
	if err := w.properties(&top, &order, 0, false); err != nil {
		return nil, err
	}
	return w.Bytes(), nil
}

func (w *writer) resolve(n *node, defs map[string]*node) *node {
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok && defs[name] != nil {
		return defs[name]
	}
	return n
}

// properties writes the settings of an object; the first of a list's entry begins with its dash.
func (w *writer) properties(n, order *node, depth int, dash bool) error {
	rank := func(name string) int {
		if p := order.Properties[name]; p != nil && p.Description != "" {
			if at, err := strconv.Atoi(p.Description); err == nil {
				return at
			}
		}
		return 1 << 30 // products, which have no comment here, follow
	}
	names := slices.SortedFunc(maps.Keys(n.Properties), func(a, b string) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	products := 0
	for _, name := range names {
		property := w.resolve(n.Properties[name], w.defs)
		if property.Not != nil || strings.HasSuffix(property.Description, "cannot be set yet.") {
			continue
		}
		if n.Properties[name].Ref == "#/$defs/webhook" {
			continue // webhooks have a list of their own
		}
		if n.Properties[name].Ref != "" {
			if products++; products > 1 {
				w.line("NAME-"+name+":", depth-1) // a connection is one product
			}
			var err error
			if w.written, err = settingsOf(w.root, name); err != nil {
				return err
			}
		}
		if depth == 0 {
			w.WriteByte('\n')
		}
		w.prose(n.Properties[name].Description, slices.Contains(n.Required, name), depth)
		key := name + ":"
		if dash {
			key, dash = "- "+key, false
		}
		if err := w.setting(key, property, w.resolve(order.Properties[name], w.order.Defs), depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) setting(key string, n, order *node, depth int) error {
	inner := depth + 1
	name := strings.TrimSuffix(strings.TrimPrefix(key, "- "), ":")
	if strings.HasPrefix(key, "- ") {
		depth-- // the dash stands where the list's key does not
	}
	sample, sampled := samples[w.within+"."+name]
	if !sampled {
		sample, sampled = samples[name]
	}
	written := w.written[name]
	switch extra := free(n); {
	case len(written) > 0 && !n.secret() && !n.listsWords():
		lines := shortened(written)
		w.line(strings.TrimSuffix(key+" "+lines[0], " "), depth)
		for _, line := range lines[1:] {
			w.line(line, depth)
		}
	case len(n.Properties) > 0:
		w.line(key, depth)
		outer := w.within
		defer func() { w.within = outer }()
		w.within = name
		return w.properties(n, order, inner, false)
	case sampled:
		w.line(key+" "+sample, depth)
	case extra != nil && len(extra.Properties) > 0:
		w.line(key, depth)
		w.line("NAME:", inner)
		return w.properties(extra, free(order), inner+1, false)
	case extra != nil:
		w.line(key+" {NAME: "+value(extra)+"}", depth)
	case n.Items != nil && len(n.Items.Properties) > 0:
		w.line(key, depth)
		return w.properties(n.Items, order.Items, inner+1, true)
	case n.Items != nil:
		w.line(key+" ["+value(n.Items)+"]", depth)
	default:
		w.line(key+" "+value(n), depth)
	}
	return nil
}

// free is the schema of a mapping's values, where its keys are free.
func free(n *node) *node {
	var extra node
	if len(n.Extra) == 0 || n.Extra[0] != '{' || json.Unmarshal(n.Extra, &extra) != nil {
		return nil
	}
	return &extra
}

// secret reports whether a setting holds a secret, alone or in a list or mapping.
func (n *node) secret() bool {
	extra := free(n)
	return n.WriteOnly || n.Items != nil && n.Items.secret() || extra != nil && extra.secret()
}

// listsWords reports whether a setting is true or false, or one of a few words: the first one is shown, which is the default.
func (n *node) listsWords() bool {
	return len(n.Enum) > 0 || n.Type == "boolean" || len(n.AnyOf) > 0 && n.AnyOf[0].listsWords()
}

// value is something that may stand there.
func value(n *node) string {
	switch {
	case n.WriteOnly:
		return `"${NAME}"`
	case len(n.Examples) > 0:
		return n.Examples[0]
	case len(n.Enum) > 0:
		return n.Enum[0]
	case len(n.AnyOf) > 0:
		return value(n.AnyOf[0])
	}
	kind := n.Type
	if list, ok := n.Type.([]any); ok && len(list) > 0 {
		kind = list[0]
	}
	switch {
	case kind == "boolean":
		return "true"
	case kind == "integer", kind == "number":
		return "1"
	case kind == "object":
		return "{NAME: nps_score}"
	}
	return "NAME"
}

// prose is a comment, wrapped.
func (w *writer) prose(text string, required bool, depth int) {
	if required {
		text = strings.TrimSuffix(text, ".") + " (required)."
	}
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+len(word)+2*depth > 112 {
			w.comment(line, depth)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		w.comment(line, depth)
	}
}

func (w *writer) comment(text string, depth int) { w.line("# "+text, depth) }

func (w *writer) line(text string, depth int) {
	_, _ = fmt.Fprintf(w, "#%s%s\n", strings.Repeat("  ", depth), text)
}
