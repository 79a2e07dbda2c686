package config

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/rules"
)

// Overlay compiles a tenant's documents over the base. It never fails as a whole, and it changes neither.
func Overlay(base *Config, tenant string, documents []Document) *TenantConfig {
	o := newOverlay(base, tenant)
	o.take(documents)
	o.compile()
	return o.finish()
}

func newOverlay(base *Config, tenant string) *overlay {
	x := base.indexed()
	l := newLoader(Options{Now: clock.System().Now()}, func(string) ([]byte, error) { return nil, errNoFiles },
		&Config{Outbound: base.Outbound, Redis: base.Redis, Keys: base.Keys, Tokens: base.Tokens})
	l.base = x.of(tenant)
	return &overlay{loader: l, index: x, tenant: tenant}
}

var errNoFiles = errors.New("a stored document reads no files")

// overlay is the state of a compilation.
type overlay struct {
	*loader
	index  *index
	tenant string
	all    []*compiling // by name

	builds     map[*Step]connectors.Connector
	attributed int // faults
}

// each does a step of the compilation for every document of a kind. A panic is a fault of the document that caused it: a text
// that a stranger wrote must not stop the gateway, which would compile it again at its next start.
func (o *overlay) each(kind string, step func(d *compiling)) {
	for _, d := range o.all {
		if d.settings == nil || d.kind != kind {
			continue
		}
		o.guard(d, func() { step(d) })
	}
}

func (o *overlay) guard(d *compiling, step func()) {
	defer func() {
		if p := recover(); p != nil {
			d.refuse(fmt.Sprintf("the document cannot be compiled: %v", p), "please report this, with the document")
		}
	}()
	step()
}

func (o *overlay) compile() {
	for _, d := range o.all {
		if d.usable() {
			o.guard(d, func() { o.read(d) })
		}
	}
	o.each(kindSource, func(d *compiling) { o.addSources(d.settings) })
	o.each(kindConnection, func(d *compiling) { o.addConnections(d.settings) })
	o.each(kindWebhook, func(d *compiling) { o.addWebhooks(d.settings) })
	o.attribute()
	o.breakDestinations()
	o.each(kindRule, func(d *compiling) { o.addRules(d.settings) })
	o.buildForEverywhere()
	for _, w := range o.webhooks {
		o.guard(o.document(w.At.File), func() { o.subscription(w) })
	}
	for _, w := range o.webhooks {
		o.guard(o.document(w.At.File), func() { o.warnOfWebhook(w) })
	}
	o.warnOfTokens()
	o.attribute()
	o.breakDestinations() // those with a faulty subscription
}

// read parses a document, puts its secrets in, and binds it as if it were a file that holds this object alone.
func (o *overlay) read(d *compiling) {
	node, faults := document.ParseStored(d.at, d.Spec)
	if node == nil {
		o.fault(faults...)
		return
	}
	if node.Kind != document.Mapping {
		node.ConcealTexts()
		o.fault(node.Fault(fmt.Sprintf("a document must be a mapping of settings, and is %s", node.Kind), "write settings as key: value"))
		return
	}
	_, faults = node.Expand(document.Lookup{Refuse: !d.Variables})
	o.fault(faults...)
	for _, path := range slices.SortedFunc(maps.Keys(d.Secrets), func(a, b string) int {
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) // secrets.2 before secrets.10
	}) {
		o.fault(node.Put(path, d.Secrets[path])...)
	}
	d.node = node
	node = node.With(func(key string) bool { return !o.ofOperator(d, node, key) })
	key := document.Title(d.at, d.name)
	f := &fileSettings{Tenant: tenantName(o.tenant), Node: node}
	switch d.kind {
	case kindSource:
		var s sourceSettings
		o.bind(node, &s, document.Options{})
		f.Sources = document.Map[sourceSettings]{{Name: d.name, Key: key, Node: node, Value: s}}
		d.disabled = !enabled(s.Enabled)
	case kindConnection:
		var s connectionSettings
		o.bind(node, &s, document.Options{})
		f.Connections = document.Map[connectionSettings]{{Name: d.name, Key: key, Node: node, Value: s}}
		d.disabled = !enabled(s.Enabled)
	case kindWebhook:
		var s webhookSettings
		o.bind(node.Prepend("name", key), &s, document.Options{})
		f.Webhooks = []webhookSettings{s}
		d.disabled = !enabled(s.Enabled)
	case kindRule:
		var s ruleSettings
		o.bind(node.Prepend("name", key), &s, document.Options{})
		f.Rules = []ruleSettings{s}
		d.disabled = !enabled(s.Enabled)
	}
	d.settings = f
}

// ofOperator reports whether a key of a document is not bound, because it only repeats the document's name or tenant, or is a
// setting that only files may have. It adds the faults of those that are wrong.
func (o *overlay) ofOperator(d *compiling, n *document.Node, key string) bool {
	switch {
	case key == "tenant":
		if value := n.Key(key); value.Kind != document.Scalar || value.Text != o.tenant {
			o.fault(value.Fault(fmt.Sprintf("the document belongs to the tenant `%s`", o.tenant), "remove tenant:"))
		}
	case key == "name" && (d.kind == kindWebhook || d.kind == kindRule):
		if value := n.Key(key); value.Kind != document.Scalar || value.Text != d.name {
			o.fault(value.Fault(fmt.Sprintf("the document is stored as `%s`", d.Name), "remove name:, or store it under the other name"))
		}
	case d.kind == kindSource && (key == "redis_stream" || key == "redis"):
		o.fault(n.Named(key).Fault(fmt.Sprintf("`%s` is for sources of files: a stored source takes requests", key), "remove it, and name the platform in profile:"))
	default:
		return false
	}
	return true
}

// document returns the document of a position; nil if there is none.
func (o *overlay) document(file string) *compiling {
	name, _ := strings.CutPrefix(file, StorePrefix)
	i, found := slices.BinarySearchFunc(o.all, name, func(d *compiling, name string) int { return strings.Compare(d.Name, name) })
	if !found {
		return nil
	}
	return o.all[i]
}

// attribute gives faults and warnings to the documents that have them. A document whose faults were given has no others: they may be
// consequences, such as of a secret that is absent because it cannot be opened.
func (o *overlay) attribute() {
	for _, f := range o.faults[o.attributed:] {
		if d := o.document(f.File); d != nil && len(d.Document.Faults) == 0 {
			d.Faults = append(d.Faults, f)
		}
	}
	o.attributed = len(o.faults)
	for _, f := range o.config.Warnings {
		if d := o.document(f.File); d != nil {
			d.Warnings = append(d.Warnings, f)
		}
	}
	o.config.Warnings = nil
}

// breakDestinations marks the destinations whose documents have faults, and those of documents that could not be read. They keep
// their names, so that rules which name them compile, and what is owed to them waits.
func (o *overlay) breakDestinations() {
	broken := map[string]bool{}
	for _, doc := range o.all {
		if !doc.isDestination() || doc.State == Shadowed || len(doc.Faults) == 0 {
			continue
		}
		broken[doc.name] = true
		at := target{o.tenant, doc.name}
		d := o.destinations[at]
		if d == nil {
			key := document.Title(doc.at, doc.name)
			d = &destination{Destination: o.origin(Item{Tenant: o.tenant, Name: doc.name, At: key.At}), key: key}
			if doc.kind == kindWebhook {
				d.Product = productWebhook
			}
			o.destinations[at] = d
			o.config.Destinations = append(o.config.Destinations, d.Destination)
		}
		d.Broken, d.alone, d.Alone = true, nil, nil
		on := !doc.disabled
		o.delivery(d, nil, deliverySettings{Enabled: &on}, "", nil) // instead of settings that may have the faults
	}
	for _, r := range o.config.Rules {
		for _, s := range r.Steps {
			if broken[s.Destination] {
				s.Build[o.tenant] = nil
			}
		}
	}
	for s := range o.builds {
		if broken[s.Destination] {
			o.builds[s] = nil
		}
	}
}

// buildForEverywhere builds the steps that rules of every tenant have for the tenant's own destinations.
func (o *overlay) buildForEverywhere() {
	o.builds = map[*Step]connectors.Connector{}
	for _, doc := range o.all {
		d := o.destinations[target{o.tenant, doc.name}]
		if !doc.isDestination() || d == nil || d.At.File != doc.at {
			continue
		}
		for _, everywhere := range o.index.steps[doc.name] {
			d.named = true
			o.guard(doc, func() { o.buildStep(doc, d, everywhere) })
		}
	}
}

func (o *overlay) buildStep(doc *compiling, d *destination, everywhere ruleStep) {
	step := everywhere.step
	if d.Broken {
		o.builds[step] = nil
		return
	}
	name := step.Destination
	if step.Action != "" {
		name += "." + step.Action
	}
	before := len(o.faults)
	set := &stepSettings{name: name, key: document.Title(step.At.File, name), settings: step.settings.Detached()}
	c := o.step(everywhere.rule, d, step.Connector(d.Destination), set)
	faults := o.faults[before:]
	o.faults = o.faults[:before]
	if c != nil {
		o.builds[step] = c
		return
	}
	for _, f := range faults {
		o.warning(checks.RuleOfFiles, d.key.Fault(fmt.Sprintf("the rule `%s` of the files (%s) cannot use it: %s", everywhere.rule.Name, step.At, f.Message), f.Remedy))
	}
}

// warnOfTokens warns about connections whose tokens the gateway cannot fetch, or that share a refresh token.
func (o *overlay) warnOfTokens() {
	of := *o.config
	if len(of.Fetching()) == 0 {
		return
	}
	for _, d := range o.config.Destinations {
		of.Destinations = []*Destination{d}
		if fault := of.MissingKey(); fault != nil {
			o.warning(checks.NoKey, *fault)
		}
	}
	of.Destinations = slices.Concat(o.base.fetching(), o.config.Destinations)
	for _, fault := range of.SharedTokens() {
		o.warning(checks.SharedToken, fault)
	}
}

// finish collects what compiled.
func (o *overlay) finish() *TenantConfig {
	t := &TenantConfig{Tenant: o.tenant, Builds: o.builds, Documents: make([]CompiledDocument, len(o.all))}
	for i, d := range o.all {
		switch {
		case d.State == Shadowed:
		case len(d.Faults) > 0:
			d.State = Broken
		case d.disabled:
			d.State = Disabled
		}
		d.Faults, d.Warnings = d.keep(d.Faults), d.keep(d.Warnings)
		if d.node != nil {
			h := fnv.New64a()
			d.node.Sum(h)
			d.Sum = h.Sum64()
		}
		d.Clear = o.clear(d)
		t.Documents[i] = d.CompiledDocument
		t.Documents[i].Spec, t.Documents[i].Secrets = nil, nil
	}
	t.Destinations = slices.Clip(o.config.Destinations)
	slices.SortFunc(t.Destinations, func(a, b *Destination) int { return strings.Compare(a.Name, b.Name) })
	for _, s := range o.config.Sources {
		if o.document(s.At.File).State != Broken {
			t.Sources = append(t.Sources, s)
		}
	}
	for _, r := range o.config.Rules {
		if r.Match.Kind == rules.WebhookKind || o.document(r.At.File).State != Broken {
			t.Rules = append(t.Rules, r)
		}
	}
	if len(t.Destinations)+len(t.Sources)+len(t.Rules) > 0 {
		t.Kept = bytes.Clone(keep(&Config{Destinations: t.Destinations, Rules: t.Rules}, o.digest()))
		t.Generation = generationOf(t.Kept)
	}
	return t
}

// digest hashes the documents, so that overlays which differ have different generations.
func (o *overlay) digest() string {
	h := sha256.New()
	for _, d := range o.all {
		_, _ = fmt.Fprintf(h, "document %q %s ", d.Name, d.State)
		if d.node != nil {
			d.node.Sum(h)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}
