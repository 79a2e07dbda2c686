package config

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
	"github.com/surveygate/surveygate/rules/expression"
)

// The kept form of a configuration stores only what later explanations need: each tenant's rules with their conditions,
// and the names of its destinations. It holds no setting of a source, connection or token, so it cannot hold a secret.
// It is built from the loaded rules, so the style of the YAML does not matter. A digest of everything else makes
// configurations that differ have different generations.
//
// The first line holds the format and the digest. Each further line belongs to one tenant: the tenant's name, a space, and
// JSON. A reader skips the lines of other tenants without parsing them.

const (
	// keptName begins the first line in every version of the format.
	keptName = "surveygate-rules/"
	// keptForm begins the first line in this version of it.
	keptForm = keptName + "1 "
	// Emptied replaces a text that was deleted from the store. No version can read it, so every version reports that the
	// configuration is no longer kept. Former versions would read an empty text as a configuration without rules.
	Emptied = keptName + "0\n"
)

// IsKeptForm reports whether a text is in the kept form, of this version or a later one. Earlier versions kept whole files.
func IsKeptForm(kept []byte) bool { return bytes.HasPrefix(kept, []byte(keptName)) }

// keptLine is one line: a tenant's destinations, or one rule.
type keptLine struct {
	// Destinations are products by the destinations' names.
	Destinations map[string]string `json:"destinations,omitempty"`
	Rule         *keptRule         `json:"rule,omitempty"`
}

type keptRule struct {
	Kind     string   `json:"kind"`
	Name     string   `json:"name"`
	Events   []string `json:"events"`
	When     string   `json:"when,omitempty"`
	Deferred []string `json:"deferred,omitempty"`
	// Settle and IncompleteDelay are in nanoseconds.
	Settle          int64      `json:"settle,omitempty"`
	Until           string     `json:"until,omitempty"`
	IncompleteDelay int64      `json:"incomplete_delay,omitempty"`
	Zone            string     `json:"zone,omitempty"`
	Disabled        bool       `json:"disabled,omitempty"`
	Steps           []keptStep `json:"steps"`
}

// keptStep is one step of a rule. Its connector is the destination's product, followed by a full stop and the action.
type keptStep struct {
	Name        string `json:"name"`
	Destination string `json:"destination"`
	Action      string `json:"action,omitempty"`
}

// digest hashes every file and profile that was read. Of a secret only its ${NAME} counts.
func (l *loader) digest() string {
	h := sha256.New()
	for i, f := range l.files {
		_, _ = fmt.Fprintf(h, "file %q ", l.keys[i]) // writing to a hash cannot fail
		f.Node.Digest(h)
	}
	for _, p := range l.profileTexts {
		_, _ = fmt.Fprintf(h, "profile %q %x ", p.key, sha256.Sum256(p.text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sum returns the Item.Sum of a node.
func (l *loader) sum(n *document.Node) uint64 {
	if l.base == nil {
		return sumOf(n)
	}
	h := fnv.New64a()
	if n != nil {
		n.Sum(h)
	}
	return h.Sum64()
}

// sumOf returns the Item.Sum of a node of a file; nil hashes as empty.
func sumOf(n *document.Node) uint64 {
	h := fnv.New64a()
	if n != nil {
		n.Digest(h)
	}
	return h.Sum64()
}

// keep writes the kept form of a configuration.
func keep(c *Config, digest string) []byte {
	var b bytes.Buffer
	b.WriteString(keptForm + digest + "\n")
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	write := func(tenant string, line keptLine) {
		b.WriteString(tenant + " ")
		_ = e.Encode(line) // cannot fail: it contains only strings and lists of strings
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
		kept.Deferred = r.Match.Deferred
		kept.Settle, kept.IncompleteDelay = r.Settle.For.Nanoseconds(), r.IncompleteDelay.Nanoseconds()
		if !r.Settle.Until.IsZero() {
			kept.Until = r.Settle.Until.String()
		}
		if r.Zone != nil {
			kept.Zone = r.Zone.String()
		}
		for _, s := range r.Steps {
			kept.Steps = append(kept.Steps, keptStep{s.Name, s.Destination, s.Action})
		}
		write(r.Tenant, keptLine{Rule: kept})
	}
	return b.Bytes()
}

func generationOf(kept []byte) string {
	sum := sha256.Sum256(kept)
	return hex.EncodeToString(sum[:8])
}

// ErrUnreadable is returned for a kept form that this version can never read: another version wrote it.
var ErrUnreadable = errors.New("what is kept of the configuration cannot be read")

// LoadKept reads one tenant's part of a kept form, and the rules that run in every tenant. The result can explain a
// decision but cannot send: its destinations have no settings, and its steps no connectors.
func LoadKept(kept []byte, tenant string) (*Config, error) {
	return loadKept(generationOf(kept), tenant, kept)
}

// LoadKeptOver is like LoadKept, with the kept form of the tenant's overlay over that of the base.
func LoadKeptOver(base, overlay []byte, tenant string) (*Config, error) {
	return loadKept(OverGeneration(generationOf(base), generationOf(overlay)), tenant, base, overlay)
}

// OverGeneration returns the generation of a tenant with an overlay: that of the base and that of the overlay, joined by a plus.
func OverGeneration(base, overlay string) string {
	if overlay == "" {
		return base
	}
	return base + "+" + overlay
}

// loadKept reads a tenant's part of kept forms that belong together. All destinations are read before the first rule, because a rule
// of tenant "*" in the first form may use a destination of the second.
func loadKept(generation, tenant string, forms ...[]byte) (*Config, error) {
	c := &Config{Generation: generation}
	type ownedRule struct {
		owner string
		rule  *keptRule
	}
	products := map[string]string{}
	var kept []ownedRule
	for _, form := range forms {
		head, rest, ok := bytes.Cut(form, []byte("\n"))
		if !ok || !bytes.HasPrefix(head, []byte(keptForm)) {
			return nil, ErrUnreadable
		}
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
			if k.Rule != nil {
				kept = append(kept, ownedRule{string(owner), k.Rule})
			}
		}
	}
	for _, k := range kept {
		r, err := k.rule.load(k.owner, tenant, products)
		if err != nil {
			return nil, fmt.Errorf("%w: the rule %s: %w", ErrUnreadable, k.rule.Name, err)
		}
		c.Rules = append(c.Rules, r)
	}
	return c, nil
}

// load compiles a rule for one tenant.
func (k *keptRule) load(owner, tenant string, products map[string]string) (*Rule, error) {
	match := &rules.Rule{Tenant: owner, Name: k.Name, Events: k.Events, Deferred: k.Deferred, Disabled: k.Disabled}
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
	r := &Rule{
		Item: Item{Tenant: owner, Name: k.Name}, Match: match,
		Settle: Settle{For: time.Duration(k.Settle)}, IncompleteDelay: time.Duration(k.IncompleteDelay),
	}
	if k.Until != "" {
		until, err := expression.CompileCondition(k.Until)
		if err != nil {
			return nil, err
		}
		r.Settle.Until = until
	}
	if k.Zone != "" {
		var z zone
		if err := z.UnmarshalText([]byte(k.Zone)); err != nil {
			return nil, err
		}
		r.setZone(z)
	}
	for _, s := range k.Steps {
		step := &Step{Name: s.Name, Destination: s.Destination, Action: s.Action, Build: map[string]connectors.Connector{}}
		if _, here := products[s.Destination]; here {
			step.Build[tenant] = nil
		}
		r.Steps = append(r.Steps, step)
	}
	return r, nil
}
