package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/expression"
)

// What is kept of a configuration is what decides, and nothing else: each tenant's rules with their conditions, and the
// names of its destinations. A secret cannot be in it, because no setting of a source, connection or token is; and it
// does not depend on how the files are written, because it is made of what was read from them. Of everything else there
// is a digest, so that two configurations that differ have different generations.
//
// The first line is the form and the digest. Each further line is one tenant's: its name, a space, and JSON. So one tenant's
// part is read without the others'.

// keptForm begins what is kept, and says how it is written.
const keptForm = "surveygate-rules/1 "

// keptLine is what a line holds: a tenant's destinations, or one rule.
type keptLine struct {
	// Destinations are products by the destinations' names.
	Destinations map[string]string `json:"destinations,omitempty"`
	Rule         *keptRule         `json:"rule,omitempty"`
}

type keptRule struct {
	Kind     string     `json:"kind"`
	Name     string     `json:"name"`
	Events   []string   `json:"events"`
	When     string     `json:"when,omitempty"`
	Disabled bool       `json:"disabled,omitempty"`
	Steps    []keptStep `json:"steps"`
}

// keptStep is a step. Its connector is the destination's product, with the action behind a full stop.
type keptStep struct {
	Name        string `json:"name"`
	Destination string `json:"destination"`
	Action      string `json:"action,omitempty"`
}

// digest is a hash of everything that was read, with secrets by name only.
func (l *loader) digest() string {
	h := sha256.New()
	for i, f := range l.files {
		_, _ = fmt.Fprintf(h, "file %q ", l.keys[i]) // a hash takes everything
		f.Node.Digest(h)
	}
	for _, p := range l.profileTexts {
		_, _ = fmt.Fprintf(h, "profile %q %x ", p.key, sha256.Sum256(p.text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// keep writes what is kept of a configuration.
func keep(c *Config, digest string) []byte {
	var b bytes.Buffer
	b.WriteString(keptForm + digest + "\n")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	write := func(tenant string, line keptLine) {
		b.WriteString(tenant + " ")
		_ = e.Encode(line) // texts, lists of texts and nothing else; it ends the line
	}
	products := map[string]map[string]string{}
	var tenants []string
	for _, d := range c.Destinations {
		if products[d.Tenant] == nil {
			products[d.Tenant] = map[string]string{}
			tenants = append(tenants, d.Tenant)
		}
		products[d.Tenant][d.Name] = d.Product
	}
	slices.Sort(tenants)
	for _, tenant := range tenants {
		write(tenant, keptLine{Destinations: products[tenant]})
	}
	for _, r := range c.Rules {
		kept := &keptRule{Kind: r.Match.Kind.String(), Name: r.Name, Events: r.Match.Events, Disabled: r.Match.Disabled}
		if !r.Match.When.IsZero() {
			kept.When = r.Match.When.String()
		}
		for _, s := range r.Steps {
			_, action, _ := strings.Cut(s.Connector, ".")
			kept.Steps = append(kept.Steps, keptStep{s.Name, s.Destination, action})
		}
		write(r.Tenant, keptLine{Rule: kept})
	}
	return b.Bytes()
}

func generationOf(kept []byte) string {
	sum := sha256.Sum256(kept)
	return hex.EncodeToString(sum[:8])
}

// ErrUnreadable says that what is kept cannot be read, now or later: a version of another form wrote it.
var ErrUnreadable = errors.New("what is kept of the configuration cannot be read")

// LoadKept reads one tenant's part of what was kept of a configuration, with the rules that run in every tenant. What
// comes out answers what was decided, and can send nothing: its destinations are names, and its steps build no request.
func LoadKept(kept []byte, tenant string) (*Config, error) {
	head, rest, ok := bytes.Cut(kept, []byte("\n"))
	if !ok || !bytes.HasPrefix(head, []byte(keptForm)) {
		return nil, ErrUnreadable
	}
	c := &Config{Generation: generationOf(kept)}
	products := map[string]string{}
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\n"))
		owner, text, _ := bytes.Cut(line, []byte(" "))
		if string(owner) != tenant && string(owner) != AnyTenant {
			continue
		}
		var k keptLine
		if err := json.Unmarshal(text, &k); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		for name, product := range k.Destinations {
			products[name] = product
			c.Destinations = append(c.Destinations, &Destination{Item: Item{Tenant: tenant, Name: name}, Product: product})
		}
		if k.Rule == nil {
			continue
		}
		r, err := k.Rule.load(string(owner), tenant, products)
		if err != nil {
			return nil, fmt.Errorf("%w: the rule %s: %w", ErrUnreadable, k.Rule.Name, err)
		}
		c.Rules = append(c.Rules, r)
	}
	return c, nil
}

// load makes a rule as a tenant sees it.
func (k *keptRule) load(owner, tenant string, products map[string]string) (*Rule, error) {
	match := &rules.Rule{Tenant: owner, Name: k.Name, Events: k.Events, Disabled: k.Disabled}
	if k.Kind == rules.WebhookKind.String() {
		match.Kind = rules.WebhookKind
	}
	if k.When != "" {
		when, err := expression.CompileCondition(k.When)
		if err != nil {
			return nil, err
		}
		match.When = when
	}
	r := &Rule{Item: Item{Tenant: owner, Name: k.Name}, Match: match}
	for _, s := range k.Steps {
		step := &Step{Name: s.Name, Destination: s.Destination, Build: map[string]connectors.Connector{}}
		if product, here := products[s.Destination]; here {
			step.Connector, step.Build[tenant] = product, nil
			if s.Action != "" {
				step.Connector += "." + s.Action
			}
		}
		r.Steps = append(r.Steps, step)
	}
	return r, nil
}
