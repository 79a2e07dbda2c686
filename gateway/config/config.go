// Package config loads YAML files into a typed, checked configuration. Load reports all faults at once, each with its file,
// line, column and a remedy.
//
// # Documents of tenants
//
// The files are the base: one configuration, without faults or not at all. A tenant may have documents besides, which the store
// keeps: each is a webhook, connection, source or rule, in the language of the files. Overlay compiles all documents of one tenant
// together over the base, never fails as a whole, and does not change the base. Its rules:
//
//   - Whose fault it is. A fault belongs to the document whose text has it; a step that does not fit its connection is a fault of the
//     rule. A document with faults is Broken and stands alone: the others compile as if it had none. Of a document whose faults were
//     found before (a secret that no key opens), only those are reported, because others may be consequences.
//   - Nothing owed is lost. The destination of a broken webhook or connection keeps its place: Destination.Broken is set, Alone is nil,
//     and steps to it have no connector. Rules that name it compile, their steps to it are not judged, and what is owed to it waits. A
//     broken webhook whose events and condition are sound goes on subscribing.
//   - A rule that names what does not exist is broken, and so is the later of two documents that define one destination (webhook/x
//     and connection/x): the one with the lower version keeps the name, even if it is broken.
//   - Files win. A document is Shadowed by a file's object of its name in the tenant: a destination by a destination, a source by a
//     source, a rule by a rule of the tenant or of tenant "*". It is not compiled, and its fault names the file and line.
//   - Rules of tenant "*" in the files use the tenant's own destination of the name that they write; see TenantConfig.Builds. If
//     a step does not fit the tenant's connection, the step is left out, the rule's other steps are not affected, and the connection
//     has a warning.
//   - Documents are written by strangers. `${…}` is a fault and nothing is looked up; no file is read; streams are refused;
//     destinations are not Trusted; messages name nothing of other tenants; a panic is a fault of its document.
//   - Secrets are beside the text. They are put at their paths before the document is bound, count as written ${PATH}, and are masked.
//   - Bounds: MaxDocument of one document, MaxDocuments and MaxDocumentBytes of all, which the documents that were changed last do not
//     fit into; and a bound of the faults and warnings of each.
//   - The result depends on the documents alone, not on their order, nor on the order of keys in them.
package config

import (
	"net/netip"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/rules"
)

// DefaultTenant owns everything that names no tenant.
const DefaultTenant = "default"

// AnyTenant is the tenant of rules that run in every tenant, and of tokens that may act for every tenant.
const AnyTenant = rules.AllTenants

// Defaults that apply when neither a flag, the environment nor a file sets a value.
const (
	DefaultListen      = "127.0.0.1:8080"
	DefaultData        = "surveygate-data"
	DefaultConcurrency = 16
	DefaultDrain       = 5 * time.Second
)

// Config is a complete configuration without faults. It is immutable after Load.
type Config struct {
	// Generation is the content hash of the files, with secrets by name only.
	Generation string
	// Kept is the form that is stored for later explanations. It contains no secrets. Generation is its hash. See LoadKept.
	Kept []byte

	Listen string
	// PublicURL is the address under which others reach the gateway, without a slash at its end; empty if it is not configured.
	PublicURL string
	Console   Console
	// Drain is how long requests are still accepted after a stop was requested.
	Drain time.Duration
	// TrustedProxies are the networks whose X-Forwarded-For header is trusted.
	TrustedProxies []netip.Prefix

	Data  string
	Redis Redis
	// Keys seal secrets in the store: those of key_file or SURVEYGATE_KEY. The embedded engine adds its own.
	Keys vault.Keys
	// Retention limits what is kept. Bytes are zero where the files set none; the store then uses its own defaults.
	Retention state.Retention
	Outbound  outbound.Policy
	// Limits are those of each tenant that has none of its own.
	Limits Limits
	Portal Portal

	Sources      []*Source
	Destinations []*Destination // connections and webhooks
	Rules        []*Rule        // rules, then one for each webhook that has events
	Tokens       []*Token

	// Warnings are for `check`: settings that are valid but may surprise.
	Warnings document.Faults

	// Bundle is the text that it was loaded from.
	Bundle *Bundle
	// Written is what the files define as they write it. LoadBundle alone sets it.
	Written []Written

	index *index // see names
}

// Item holds the fields that all named things share.
type Item struct {
	Tenant string
	Name   string
	At     document.Position
	// Sum is a hash of the item's settings. For a secret, only its ${NAME} is hashed.
	Sum uint64
	// Spec is what the files define, as JSON: the settings as they are written, without name and tenant, and with a variable in place of
	// each secret that is not one already. It is empty for what a document defines.
	Spec string
}

// Source is an instance of a platform's profile.
type Source struct {
	Item
	Enabled bool
	// Capture is how long after loading raw requests are kept; 0 keeps none.
	Capture time.Duration
	// Receiver verifies and normalises incoming requests and entries.
	Receiver *source.Source
	// Stream is the stream that the source reads; nil for a source that takes requests.
	Stream *Stream
}

// Stream is a Redis stream that another program writes.
type Stream struct {
	Name string
	// URL is the address of its Redis; zero is the Redis of the Redis engine.
	URL connectors.Secret
	// Headers reports that entries are verified by the headers they carry, because the source has secrets.
	Headers bool
	// Bare reports that the source has no profile and takes only events in surveygate's own format.
	Bare bool

	at *document.Node
}

// Destination is a connection or a webhook: the unit that is limited, paused and measured.
type Destination struct {
	Item
	// Product is the connector's name, without an action.
	Product string
	// Alone is the connector without the settings of a step.
	Alone   connectors.Connector
	Enabled bool
	// Broken: it is of a tenant's document that does not compile. Deliveries to it wait; Alone and everything below it may be zero,
	// and steps have no connector for it.
	Broken bool
	Retry  Retry
	// Timeout bounds one request.
	Timeout     time.Duration
	Concurrency int
	Rate        Rate
	Batch       Batch
	// Delay is a webhook's own `delay`, added to the rule's; 0 for connections.
	Delay time.Duration
	// CaptureAll keeps requests and responses of successful attempts too.
	CaptureAll bool
	Transport  outbound.Transport
	// Trusted lets requests reach the private addresses that outbound.allow_addresses names. The zero value is a destination
	// that reaches public addresses only.
	Trusted bool
	// TLS is the destination's own TLS configuration; nil uses the shared one.
	TLS *outbound.ClientTLS
	// Ordered ⟨later⟩ is `order: response`.
	Ordered bool
	// Credentials are the secrets and other settings of the connection; a pause by `revoked` ends when they change.
	// Address is the URL; a pause by status 410 ends when it changes.
	Credentials []connectors.Secret
	Address     connectors.Secret

	sets []string // the names of the product's settings that are written, for its actions; see lay
}

// Retry is the retry schedule of a destination.
type Retry struct {
	// Waits are the waits between attempts: Waits[0] follows the first attempt. When all waits are used up, the next failed
	// attempt makes the delivery a dead letter.
	Waits []time.Duration
	// Only200 accepts status 200 alone, and no other 2xx, as a webhook's success.
	Only200 bool
}

// Rate limits a destination to Events in each Per; zero is the product's own limit, or no limit.
type Rate struct {
	Events int
	Per    time.Duration
}

// Batch bounds the batches for products that accept several events in one request.
type Batch struct {
	// Max is how many events one request may carry; the default is the product's own limit.
	Max int `yaml:"max,omitempty"`
	// Wait is how long an event waits for others; the default is 100ms. If it is longer than 500ms, the event waits on disk.
	Wait time.Duration `yaml:"wait,omitempty"`
}

// Rule is a rule, or the subscription of a webhook, with its steps.
type Rule struct {
	Item
	// Match holds the events and the condition; its Kind distinguishes rules from webhooks.
	Match *rules.Rule
	Delay time.Duration
	// Settle is how long it waits for a response to come to rest. Then Match.Deferred are all its events.
	Settle Settle
	// IncompleteDelay is how long after the start of a response a webhook tells what there is of it; 0: as its events come. See
	// IsUnfinished.
	IncompleteDelay time.Duration
	// Zone is the time zone of its clock; nil is UTC.
	Zone *time.Location
	// Guard limits when and how often it sends.
	Guard Guard
	// Once reports `once: response`.
	Once  bool
	Steps []*Step
	Tests []Test
}

// Step is one entry of a rule's `send`.
type Step struct {
	// Name is the entry's name as written, or its `as`.
	Name string
	// Destination is the name of the connection or webhook; it is looked up in the event's tenant.
	Destination string
	// Action is the part after the full stop, such as `note` of crm.note; empty for the product's default action.
	Action string
	// Sets are the names of the settings that the step itself sets, besides those of its connection.
	Sets []string
	// Amend changes what was told of a response when the response changes, in place of a second message. Retract marks it as no longer
	// so when the response does not match any more.
	Amend, Retract bool
	// Build holds the connector per tenant: the product's defaults, overridden by the connection, then by the step. A rule
	// of tenant "*" has one for each tenant of the files that has the destination; for destinations of stored documents see
	// TenantConfig.Builds. It is nil, but present, for a broken destination.
	Build map[string]connectors.Connector
	At    document.Position

	settings *document.Node // in rules of tenant "*": what the step sets, for destinations of stored documents
}

// Connector returns the name of the connector that builds this step for a destination: product, or product.action. In
// different tenants, destinations of the same name may use different products.
func (s *Step) Connector(d *Destination) string {
	if s.Action == "" || d.Product == "" { // of a Broken destination it may be unknown
		return d.Product
	}
	return d.Product + "." + s.Action
}

// Test is an inline test of a rule.
type Test struct {
	// Given is an event in surveygate's own format, as JSON, or a list of them: those of one response, in order. Alternatively, File is a platform's body, normalised by Source.
	Given  []byte
	Source string
	File   string
	Expect []string
	At     document.Position
}

// Token grants access to the API.
type Token struct {
	Name   string
	Secret connectors.Secret
	// Tenant is the token's tenant, or "*" for all tenants, such as for a platform's own server.
	Tenant string
	Scopes []string
	// Sources are the sources that it may publish as; AnySource stands for all.
	Sources []string
	At      document.Position
	Sum     uint64 // see Item.Sum
}

// AnySource among a token's sources lets it publish as every source.
const AnySource = "*"

// Redis is the address of the Redis engine; the zero value selects the embedded engine.
type Redis struct {
	URL    connectors.Secret
	Prefix string
}
