package config

import (
	"net/netip"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/source"
	"github.com/surveygate/surveygate/gateway/signature"
	"github.com/surveygate/surveygate/rules/expression"
)

// The structs below are what a person writes. Their comments are the documentation of the settings.

// fileSettings is one file of a configuration.
type fileSettings struct {
	// Tenant owns everything in this file that names no other; without it, `default`.
	Tenant tenantName `yaml:"tenant,omitempty"`

	// Listen is the address of the HTTP surface; without it, `127.0.0.1:8080`.
	Listen address `yaml:"listen,omitempty"`

	// Drain is how long the gateway goes on accepting requests after SIGTERM, while `/readyz` answers 503, so that a balancer
	// stops sending before the port closes; without it, 5s. 0s closes the port at once. It takes 10 minutes at most.
	Drain *time.Duration `yaml:"drain,omitempty"`

	// TrustedProxies are the networks of the reverse proxies in front of the gateway. Of what one of them passes on, the sender is
	// the last address in `X-Forwarded-For` that is no proxy's: `allow_from` goes by it, and refused requests show it. Whoever
	// else writes that header is not believed. Without any, the connection counts. Their connections are not bounded by address.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies,omitempty"`

	// Data is the folder of everything that is kept and of the control socket; without it, `./surveygate-data`. With
	// `redis` it holds the control socket only, and each replica needs its own.
	Data string `yaml:"data,omitempty"`

	// Redis keeps everything in Redis instead of `data`, so that several replicas can share the work: a URL, or `{url, prefix}`,
	// where the prefix (`surveygate`) begins every key. Parameters of the URL: `sentinel=NAME`, `sentinel_user` and
	// `sentinel_password`; `cluster=true`; `pool` (16 connections to each node); `timeout` (5s, of one call); with `rediss://`
	// also `ca`, `cert` and `key` (files in PEM: whom to trust instead of the system's, and who we are; read again for each
	// new connection).
	Redis redisSettings `yaml:"redis,omitempty"`

	// Retention bounds what is kept, by age and size, whichever is first.
	Retention retentionSettings `yaml:"retention,omitempty"`

	// Outbound says where requests may go.
	Outbound outbound.Policy `yaml:"outbound,omitempty"`

	// Tokens open the API. Without any, the first start makes one and prints it once.
	Tokens []tokenSettings `yaml:"tokens,omitempty"`

	// Sources are the platforms that send events, by name.
	Sources document.Map[sourceSettings] `yaml:"sources,omitempty"`

	// Connections are the products that are told of events, by name.
	Connections document.Map[connectionSettings] `yaml:"connections,omitempty"`

	// Webhooks subscribe receivers to signed events.
	Webhooks []webhookSettings `yaml:"webhooks,omitempty"`

	// Rules say which events are sent where.
	Rules []ruleSettings `yaml:"rules,omitempty"`

	Node *document.Node `yaml:",node"`
}

// redisSettings is where Redis is.
type redisSettings struct {
	// URL leads to one Redis, `redis://user:password@host:6379/0` (`rediss://` with TLS), to sentinels, `redis://a:26379,b:26379/0?sentinel=NAME`,
	// or to a Cluster, `redis://a:6379,b:6379?cluster=true`.
	URL connectors.Secret `yaml:"url"`

	// Prefix begins every key, so that gateways can share a Redis; without it, `surveygate`.
	Prefix entityName `yaml:"prefix,omitempty"`
}

// sourceSettings is an instance of a platform's profile.
type sourceSettings struct {
	// Profile is the platform: a name, or the path of a profile's file (`./acme.yaml`). Only a `redis_stream` that
	// carries nothing but events in our own spelling can do without.
	Profile string `yaml:"profile,omitempty"`

	// Secrets are those the platform signs with; any may match, so that they can be changed without a gap.
	Secrets []connectors.Secret `yaml:"secrets,omitempty"`

	// Vars fill other placeholders of the profile, as `{api_key}`.
	Vars map[string]connectors.Secret `yaml:"vars,omitempty"`

	// PathToken is the secret segment of the source's URL, 22 characters or more. `surveygate secret` prints one.
	PathToken connectors.Secret `yaml:"path_token,omitempty"`

	// Verify replaces the profile's own, in the same language.
	Verify []signature.Scheme `yaml:"verify,omitempty"`

	// AllowFrom are the networks that may send; without any, all. What counts is the connection; behind a proxy that is the
	// proxy's, unless `trusted_proxies` names it.
	AllowFrom []netip.Prefix `yaml:"allow_from,omitempty"`

	// AcceptTest is how long after loading requests without proof are taken as tests.
	AcceptTest time.Duration `yaml:"accept_test,omitempty"`

	// Roles turn answers into fields of the event: question id or label to field.
	Roles map[string]source.Field `yaml:"roles,omitempty"`

	// Surveys are what is known of single surveys, by their id.
	Surveys map[string]source.Survey `yaml:"surveys,omitempty"`

	// Timezone is that of times without a zone, as `Europe/Istanbul`; without it, UTC.
	Timezone zone `yaml:"timezone,omitempty"`

	// Unverified says that anybody may send here.
	Unverified bool `yaml:"unverified,omitempty"`

	// Capture keeps raw requests for so long after loading, to see what a platform really sends.
	Capture time.Duration `yaml:"capture,omitempty"`

	// RedisStream is a Redis stream that is read instead of taking requests: each entry has the field `event`, in our own
	// spelling, or `body` and perhaps `headers` (a JSON object), for the profile.
	RedisStream string `yaml:"redis_stream,omitempty"`

	// Redis is where that stream is, as `redis://host:6379/0`; without it, the Redis that everything is kept in.
	Redis connectors.Secret `yaml:"redis,omitempty"`

	// Enabled false takes nothing in.
	Enabled *bool `yaml:"enabled,omitempty"`

	// Tenant owns the source; without it, the file's.
	Tenant tenantName `yaml:"tenant,omitempty"`

	Node *document.Node `yaml:",node"`
}

// deliverySettings are those of every connection and webhook.
type deliverySettings struct {
	// Timeout bounds one request; without it, that of the retry preset: 15s.
	Timeout time.Duration `yaml:"timeout,omitempty"`

	// Concurrency is how many requests run at once; without it, 16.
	Concurrency int `yaml:"concurrency,omitempty"`

	// Rate is how many requests each replica begins at most, as `10/s` or `600/m`, in any second or minute; without it, the
	// product's own.
	Rate Rate `yaml:"rate,omitempty"`

	// Retry is when a delivery is tried again: a preset's name, or a list of waits (`[5s, 30s, 5m]`). An answer below 500
	// that says when to come back, as of an exhausted limit, is obeyed and uses up none of them.
	Retry retrySettings `yaml:"retry,omitempty"`

	// Batch bounds how events are gathered, for products that take many at once.
	Batch Batch `yaml:"batch,omitempty"`

	// Capture is what is kept of requests and answers: of `failures`, or of `all`.
	Capture capture `yaml:"capture,omitempty"`

	// Transport is `fast`, which speaks HTTP/1.1 at least cost, or `std`, which also speaks HTTP/2; without it, `std` for
	// connections and `fast` for webhooks.
	Transport outbound.Transport `yaml:"transport,omitempty"`

	// TLS is for a receiver of your own: a webhook, or a connection with a `base_url`.
	TLS tlsSettings `yaml:"tls,omitempty"`

	// Order cannot be set yet.
	Order later `yaml:"order,omitempty" later:"true"`

	// Enabled false sends nothing.
	Enabled *bool `yaml:"enabled,omitempty"`

	// Tenant owns it; without it, the file's.
	Tenant tenantName `yaml:"tenant,omitempty"`
}

// tlsSettings are PEM, or the paths of files that hold it, from the folder of the configuration's file.
type tlsSettings struct {
	// CA is the authorities that signed the receiver's certificate; they are trusted beside the others. It is PEM or the path
	// of its file, as the two others are.
	CA string `yaml:"ca,omitempty"`

	// Cert is the client certificate that the receiver wants to see, and those between it and its authority.
	Cert string `yaml:"cert,omitempty"`

	// Key is the private key of the certificate, without a passphrase.
	Key privateKey `yaml:"key,omitempty"`
}

// privateKey is a secret of several lines.
type privateKey struct{ connectors.Secret }

// connectionSettings is a product with its credentials: the product's name with its settings, and beside it
// those of delivery.
type connectionSettings struct {
	deliverySettings `yaml:",inline"`

	Product document.Map[*document.Node] `yaml:",inline"`
	Node    *document.Node               `yaml:",node"`
}

// webhookSettings is a subscription to signed events. What is not named here is the webhook connector's.
type webhookSettings struct {
	// Name is what the webhook is called, also in the `send` of rules.
	Name entityName `yaml:"name"`

	// Events are those it hears: types, `response.*`, `*`, or a platform's own names. Without them it hears only
	// the rules that name it.
	Events []string `yaml:"events,omitempty"`

	// When is a condition for the events it hears.
	When *expression.Condition `yaml:"when,omitempty"`

	deliverySettings `yaml:",inline"`

	Connector document.Map[*document.Node] `yaml:",inline"`
	Node      *document.Node               `yaml:",node"`
}

// ruleSettings is a rule: which events, on what condition, are sent where.
type ruleSettings struct {
	// Name is what the rule is called.
	Name entityName `yaml:"name"`

	// Events are those it is asked about: types, `response.*`, `*`, or a platform's own names; without them,
	// `response.completed`.
	Events []string `yaml:"events,omitempty"`

	// When is the condition; without it, every such event.
	When *expression.Condition `yaml:"when,omitempty"`

	// Send is where the event goes: names of connections and webhooks, each alone or with settings.
	Send []stepSettings `yaml:"send"`

	// Delay is how long after the event the first attempt is made.
	Delay time.Duration `yaml:"delay,omitempty"`

	// Once `response` sends of one response at most once to each step, within 30 days. The same response id from another source or
	// of another survey is another response; events without a response id are all sent.
	Once once `yaml:"once,omitempty"`

	// Enabled false sends nothing.
	Enabled *bool `yaml:"enabled,omitempty"`

	// Tests are played by `surveygate test`.
	Tests []testSettings `yaml:"tests,omitempty"`

	// Tenant owns the rule, `*` runs it in every tenant; without it, the file's.
	Tenant ruleTenant `yaml:"tenant,omitempty"`

	Node *document.Node `yaml:",node"`
}

// testSettings is one test of a rule.
type testSettings struct {
	// Given is an event as a person writes it, or `{source, file}` for a platform's own body.
	Given *document.Node `yaml:"given"`

	// Expect are the steps that are sent, without those that are skipped.
	Expect []string `yaml:"expect"`

	Node *document.Node `yaml:",node"`
}

// tokenSettings opens the API.
type tokenSettings struct {
	// Name is what the token is called in logs.
	Name entityName `yaml:"name"`

	// Secret is the token itself, 32 characters or more.
	Secret connectors.Secret `yaml:"secret"`

	// Tenant is whose it is, `*` is every tenant's; without it, the file's.
	Tenant ruleTenant `yaml:"tenant,omitempty"`

	// Scopes are what it may do: `read`, `write`, `publish`, `secrets`.
	Scopes []scope `yaml:"scopes"`

	// Sources are the sources that it may publish as: with `?source=`, or where an event names its own. Without it `api`
	// alone; `*` is every source.
	Sources []sourceName `yaml:"sources,omitempty"`

	Node *document.Node `yaml:",node"`
}

// retentionSettings bounds what is kept. On Redis the sizes are parts of its maxmemory where nothing is said: 40 % for
// events, 5 % for dedupe and 15 % for what waits for one destination; without a maxmemory 1 GiB in all. Sizes of events
// and of dedupe are for all tenants together: state.Level says who loses something where they are exceeded.
type retentionSettings struct {
	// Events are kept with their raw bytes; without a setting 7d and 10GiB (on Redis 40 % of maxmemory). The size is for all
	// tenants together: when it is exceeded, the tenant that has most loses its oldest events, so one that has no more than
	// an equal part of it loses none to what others are sent.
	Events bound `yaml:"events,omitempty"`
	// Dedupe is how long a repeated event is recognised; without a setting 7d and 512MiB (on Redis 5 % of maxmemory), of
	// which tenants have their parts as they have of events.
	Dedupe bound `yaml:"dedupe,omitempty"`
	// History is what is kept of deliveries that are done; without a setting 30d and 10000.
	History historyBound `yaml:"history,omitempty"`
	// Dead are dead letters; without a setting 30d.
	Dead ageBound `yaml:"dead,omitempty"`
	// Waiting bounds what waits for one destination; without a setting 14d, 1000000 and 4GiB (on Redis 15 % of maxmemory).
	Waiting waitingBound `yaml:"waiting,omitempty"`
}

type bound struct {
	// Age is the oldest that is kept.
	Age *time.Duration `yaml:"age,omitempty"`
	// Bytes is the most that is kept.
	Bytes *size `yaml:"bytes,omitempty"`
}

type ageBound struct {
	// Age is the oldest that is kept.
	Age *time.Duration `yaml:"age,omitempty"`
}

type historyBound struct {
	// Age is the oldest that is kept.
	Age *time.Duration `yaml:"age,omitempty"`
	// PerDestination is how many are kept of each destination.
	PerDestination *int `yaml:"per_destination,omitempty"`
}

type waitingBound struct {
	// Age is the longest wait.
	Age *time.Duration `yaml:"age,omitempty"`
	// Count is how many may wait.
	Count *int `yaml:"count,omitempty"`
	// Bytes is how much may wait.
	Bytes *size `yaml:"bytes,omitempty"`
}

// Misnamed knows what other tools call our settings.
func (*ruleSettings) Misnamed(key string) string {
	switch key {
	case "on", "event", "types":
		return "write events: [response.completed]"
	case "if", "condition", "filter", "where":
		return "write when: and the condition"
	case "then", "do", "actions", "to", "destinations":
		return "write send: and a list of names"
	case "tenants":
		return `a rule has one tenant, or "*" for all`
	case "steps":
		return "write send:"
	case "disabled":
		return "write enabled: false"
	}
	return ""
}

// Misnamed knows what other tools call our settings.
func (*webhookSettings) Misnamed(key string) string {
	switch key {
	case "on", "event", "event_types":
		return "write events: [response.completed]"
	case "secret":
		return `write secrets: ["${NAME}"], a list, so that two may stand there while one is changed`
	case "send":
		return "a webhook sends to its own url; a rule sends to several places"
	}
	return ""
}

// Misnamed knows what other tools call our settings.
func (*sourceSettings) Misnamed(key string) string {
	switch key {
	case "secret":
		return `write secrets: ["${NAME}"], a list, so that two may stand there while one is changed`
	case "platform", "type", "kind":
		return "write profile: and the platform's name"
	case "token":
		return "a token in the URL is path_token:; one that the platform sends is one of secrets:"
	}
	return ""
}

// Misnamed knows what other tools call our settings.
func (*tokenSettings) Misnamed(key string) string {
	if key == "token" || key == "value" {
		return "write secret:"
	}
	return ""
}
