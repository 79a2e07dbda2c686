// Package config turns YAML files into a typed, checked configuration, or into every fault they have at
// once, each with its file, line and column and a remedy.
package config

import (
	"net/netip"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules"
)

// DefaultTenant owns what names no other.
const DefaultTenant = "default"

// AnyTenant is a rule's that runs in every tenant, and a token's that may speak for each of them.
const AnyTenant = rules.AllTenants

// Defaults where neither a flag, the environment nor a file says otherwise.
const (
	DefaultListen      = "127.0.0.1:8080"
	DefaultData        = "surveygate-data"
	DefaultConcurrency = 16
	DefaultDrain       = 5 * time.Second
)

// Config is a whole configuration that was found without fault. It is not changed after Load.
type Config struct {
	// Generation is the content hash of the files, with secrets by name only.
	Generation string
	// Kept is the form that is stored for later explanations, without any secret. Generation is its hash. See LoadKept.
	Kept []byte

	Listen string
	// Drain is how long requests are still accepted once the gateway was asked to stop.
	Drain time.Duration
	// TrustedProxies are those whose X-Forwarded-For is believed.
	TrustedProxies []netip.Prefix

	Data  string
	Redis Redis
	// Retention has no bytes where the files say none: then they are the store's shares.
	Retention state.Retention
	Outbound  outbound.Policy

	Sources      []*Source
	Destinations []*Destination // connections and webhooks
	Rules        []*Rule        // rules, then one for each webhook that has events
	Tokens       []*Token

	// Warnings are what `check` says of a configuration that works but may surprise.
	Warnings document.Faults
}

// Item is what everything named has in common.
type Item struct {
	Tenant string
	Name   string
	At     document.Position
	// Sum changes with what is written for it. Of a secret only its ${NAME} counts.
	Sum uint64
}

// Source is an instance of a platform's profile.
type Source struct {
	Item
	Enabled bool
	// Capture keeps raw requests for so long from the load that brought it; 0 keeps none.
	Capture time.Duration
	// Receiver verifies and normalises what comes in.
	Receiver *source.Source
	// Stream is what is read instead of taking requests; nil takes requests.
	Stream *Stream
}

// Stream is a Redis stream of somebody else's.
type Stream struct {
	Name string
	// URL is where it is; zero is the Redis that everything is kept in.
	URL connectors.Secret
	// Headers says that entries which carry headers are proved by them: the source has secrets.
	Headers bool
	// Bare says that the source has no profile and takes events in our own spelling only.
	Bare bool

	at *document.Node
}

// Destination is a connection or a webhook: what is limited, paused and measured.
type Destination struct {
	Item
	// Product is the connector's name, without an action.
	Product string
	// Alone is the connector without any step's settings.
	Alone   connectors.Connector
	Enabled bool
	Retry   Retry
	// Timeout bounds one request.
	Timeout     time.Duration
	Concurrency int
	Rate        Rate
	Batch       Batch
	// Delay is a webhook's own `delay`, added to that of the rule; 0 for connections.
	Delay time.Duration
	// CaptureAll keeps requests and responses of successes too.
	CaptureAll bool
	Transport  outbound.Transport
	// Trusted lets requests reach the private addresses that outbound.allow_addresses names. The zero value is a destination
	// that reaches public addresses only.
	Trusted bool
	// TLS is the destination's own; nil is that of all.
	TLS *outbound.ClientTLS
	// Ordered ⟨later⟩ is `order: response`.
	Ordered bool
	// Credentials are what a pause by `revoked` is tied to: the secrets, and what else the connection says. Address is
	// what one by 410 is tied to.
	Credentials []connectors.Secret
	Address     connectors.Secret
}

// Retry is when a delivery is tried again.
type Retry struct {
	// Waits stand between the attempts: Waits[0] follows the first. One attempt more than waits, then it is dead.
	Waits []time.Duration
	// Only200 takes no other 2xx for a success of a webhook.
	Only200 bool
}

// Rate is at most Events in each Per; zero is the product's own, or none.
type Rate struct {
	Events int
	Per    time.Duration
}

// Batch bounds how deliveries are gathered for products that take many.
type Batch struct {
	// Max is how many events one request tells of; without it, as many as the product takes.
	Max int `yaml:"max,omitempty"`
	// Wait is how long an event waits for others; without it, 100ms. Longer than 500ms, it waits on disk.
	Wait time.Duration `yaml:"wait,omitempty"`
}

// Rule is a rule, or what a webhook subscribes to, with what it sends.
type Rule struct {
	Item
	// Match is what the set of rules is made of; its Kind tells rule from webhook.
	Match *rules.Rule
	Delay time.Duration
	// Once is `once: response`.
	Once  bool
	Steps []*Step
	Tests []Test
}

// Step is one entry of a rule's `send`.
type Step struct {
	// Name is how it is written there, or its `as`.
	Name string
	// Destination is the connection's or webhook's name; it is looked up in the event's tenant.
	Destination string
	// Action is what stands behind the destination's name, as the note of crm.note; empty for the product's own.
	Action string
	// Sets are the settings that the step writes itself, beside those of its connection.
	Sets []string
	// Build is the connection and the step laid over the product's defaults. For a rule of tenant "*" it holds one
	// per tenant that has the destination.
	Build map[string]connectors.Connector
	At    document.Position
}

// Connector returns what a destination builds this step with: product, or product.action. Destinations of one name may
// be of other products in other tenants.
func (s *Step) Connector(d *Destination) string {
	if s.Action == "" {
		return d.Product
	}
	return d.Product + "." + s.Action
}

// Test is an inline test of a rule.
type Test struct {
	// Given is an event as a person writes it, as JSON; File a platform's own body, through Source.
	Given  []byte
	Source string
	File   string
	Expect []string
	At     document.Position
}

// Token opens the API.
type Token struct {
	Name   string
	Secret connectors.Secret
	// Tenant is one, or "*" for a platform's own server.
	Tenant string
	Scopes []string
	// Sources are those it may publish as; AnySource is each of them.
	Sources []string
	At      document.Position
	Sum     uint64 // as Item.Sum
}

// AnySource among a token's sources lets it publish as every source.
const AnySource = "*"

// Redis is where the Redis engine is; the zero value is the embedded engine.
type Redis struct {
	URL    connectors.Secret
	Prefix string
}
