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

// The structs below are the settings that a person writes. Their comments are the documentation of the settings.

// fileSettings is one file of a configuration.
type fileSettings struct {
	// Tenant owns everything in this file that names no tenant; without it, `default`.
	Tenant tenantName `yaml:"tenant,omitempty"`

	// Listen is the address of the HTTP surface; without it, `127.0.0.1:8080`.
	Listen address `yaml:"listen,omitempty"`

	// PublicURL is the address under which others reach the gateway, such as `https://surveys.example.com`: the URLs of sources begin
	// with it. Without it, the API shows them under the address that its caller used, and `check` under `listen`.
	PublicURL string `yaml:"public_url,omitempty"`

	// Console is the site under `/console/` for those who run the gateway. `on`, the default, serves it under `listen`.
	// `{listen: 127.0.0.1:8081}` serves it, with the API, on an address of its own and no longer under `listen`. `off` serves neither the
	// console nor the portal. The portal is otherwise under `listen`, because a tenant's own users open it. A change takes effect at the
	// next start.
	Console consoleSettings `yaml:"console,omitempty"`

	// Drain is how long the gateway still accepts requests after SIGTERM, while `/readyz` answers 503, so that a load balancer
	// stops sending before the port closes; without it, 5s. 0s closes the port at once. The maximum is 10m.
	Drain *time.Duration `yaml:"drain,omitempty"`

	// TrustedProxies are the networks of the reverse proxies in front of the gateway. For their requests, the sender is the last
	// address in `X-Forwarded-For` that is not a proxy's: `allow_from` checks it, and refused requests show it. For all other
	// requests the header is ignored, and the sender is the connection's address. Proxies have no limit of connections per address.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies,omitempty"`

	// Data is the folder of the store and the control socket; without it, `./surveygate-data`. With `redis` it holds the
	// control socket only, and each replica needs its own.
	Data string `yaml:"data,omitempty"`

	// Redis keeps everything in Redis instead of `data`, so that several replicas can share the work: a URL, or `{url, prefix}`,
	// where the prefix (`surveygate`) begins every key. Parameters of the URL: `sentinel=NAME`, `sentinel_user` and
	// `sentinel_password`; `cluster=true`; `pool` (16 connections to each node); `timeout` (5s for each call); with `rediss://`
	// also `ca`, `cert` and `key` (PEM files: authorities to trust instead of the system's, and the client certificate; read
	// again for each new connection).
	Redis redisSettings `yaml:"redis,omitempty"`

	// KeyFile is a file with the key that seals secrets in the store, such as fetched tokens; the variable `SURVEYGATE_KEY`
	// overrides it. `surveygate secret --for key` prints a key. To rotate it, write several with their ids, the current one first:
	// `k2:…,k1:…`. Redis needs it as soon as a connection fetches its tokens, and all replicas need the same. The embedded engine
	// makes its own key, `vault.key` in `data`, and uses this one before it. A change takes effect at the next start.
	KeyFile string `yaml:"key_file,omitempty"`

	// Retention limits how long and how much is kept, by age and size, whichever is reached first. Statistics have limits of
	// their own, which are fixed: minutes are kept 24 hours, hours 30 days and days 400 days.
	Retention retentionSettings `yaml:"retention,omitempty"`

	// Outbound restricts where requests may go.
	Outbound outbound.Policy `yaml:"outbound,omitempty"`

	// Limits are how much each tenant may make by API, where its own record sets no limit. What files define does not count.
	Limits limitsSettings `yaml:"limits,omitempty"`

	// Portal is for the links that let a tenant's own users manage its webhooks.
	Portal portalSettings `yaml:"portal,omitempty"`

	// Tokens grant access to the API. Without any, the first start creates one and prints it once.
	Tokens []tokenSettings `yaml:"tokens,omitempty"`

	// Sources are the platforms that send events, by name.
	Sources document.Map[sourceSettings] `yaml:"sources,omitempty"`

	// Connections are the products that receive events, by name.
	Connections document.Map[connectionSettings] `yaml:"connections,omitempty"`

	// Webhooks send signed events to receivers.
	Webhooks []webhookSettings `yaml:"webhooks,omitempty"`

	// Rules decide which events are sent where.
	Rules []ruleSettings `yaml:"rules,omitempty"`

	Node *document.Node `yaml:",node"`
}

// redisSettings is the address of Redis.
type redisSettings struct {
	// URL is the address of one Redis, `redis://user:password@host:6379/0` (`rediss://` with TLS), of sentinels, `redis://a:26379,b:26379/0?sentinel=NAME`,
	// or of a Cluster, `redis://a:6379,b:6379?cluster=true`.
	URL connectors.Secret `yaml:"url"`

	// Prefix begins every key, so that gateways can share a Redis; without it, `surveygate`.
	Prefix entityName `yaml:"prefix,omitempty"`
}

// consoleSettings is the console's own address, or a word.
type consoleSettings struct {
	// Listen is the address of the console alone, such as `127.0.0.1:8081`.
	Listen address `yaml:"listen"`
	// PublicURL is the address under which a reverse proxy serves it, such as `https://console.example.com`: sign-in links begin with it.
	PublicURL string `yaml:"public_url,omitempty"`

	off bool
}

// sourceSettings is an instance of a platform's profile.
type sourceSettings struct {
	// Profile is the platform: a name, or the path of a profile's file (`./acme.yaml`). It is optional only for a
	// `redis_stream` whose entries are events in surveygate's own format.
	Profile string `yaml:"profile,omitempty"`

	// Secrets are those the platform signs with. Any of them may match, so that they can be rotated without interruption.
	Secrets []connectors.Secret `yaml:"secrets,omitempty"`

	// Vars fill other placeholders of the profile, such as `{api_key}`.
	Vars map[string]connectors.Secret `yaml:"vars,omitempty"`

	// PathToken is the secret segment of the source's URL, 22 characters or more. `surveygate secret` prints one.
	PathToken connectors.Secret `yaml:"path_token,omitempty"`

	// Verify replaces the profile's own `verify`, in the same language.
	Verify []signature.Scheme `yaml:"verify,omitempty"`

	// AllowFrom are the networks that may send; without any, all. It checks the connection's address; behind a proxy that is
	// the proxy's, unless `trusted_proxies` names it.
	AllowFrom []netip.Prefix `yaml:"allow_from,omitempty"`

	// AcceptTest is how long after loading requests that cannot be verified are accepted as tests.
	AcceptTest time.Duration `yaml:"accept_test,omitempty"`

	// Roles map answers to fields of the event, by question id or label.
	Roles map[string]source.Field `yaml:"roles,omitempty"`

	// Surveys are the settings of single surveys, by their id.
	Surveys map[string]source.Survey `yaml:"surveys,omitempty"`

	// Timezone applies to times without a zone, such as `Europe/Istanbul`; without it, UTC.
	Timezone zone `yaml:"timezone,omitempty"`

	// Unverified accepts requests from anybody, without verification.
	Unverified bool `yaml:"unverified,omitempty"`

	// Capture is how long after loading raw requests are kept, to see what a platform really sends.
	Capture time.Duration `yaml:"capture,omitempty"`

	// RedisStream is a Redis stream to read; the source then takes no requests. Each entry has the field `event`, in
	// surveygate's own format, or `body` and optionally `headers` (a JSON object), for the profile.
	RedisStream string `yaml:"redis_stream,omitempty"`

	// Redis is the address of that stream's Redis, such as `redis://host:6379/0`; without it, the gateway's own Redis.
	Redis connectors.Secret `yaml:"redis,omitempty"`

	// Enabled `false` takes in no events.
	Enabled *bool `yaml:"enabled,omitempty"`

	// Tenant owns the source; without it, the file's.
	Tenant tenantName `yaml:"tenant,omitempty"`

	Node *document.Node `yaml:",node"`
}

// deliverySettings are shared by connections and webhooks.
type deliverySettings struct {
	// Timeout limits one request; without it, the timeout of the retry preset: 15s.
	Timeout time.Duration `yaml:"timeout,omitempty"`

	// Concurrency is how many requests run at once; without it, 16.
	Concurrency int `yaml:"concurrency,omitempty"`

	// Rate is how many requests each replica starts at most in any second or minute, such as `10/s` or `600/m`; without it,
	// the product's own limit.
	Rate Rate `yaml:"rate,omitempty"`

	// Retry is the schedule of attempts: a preset's name, or a list of waits (`[5s, 30s, 5m]`). If an answer below 500 names
	// its own wait, such as for an exhausted limit, that wait is used and does not count as one of these.
	Retry retrySettings `yaml:"retry,omitempty"`

	// Batch limits the batches, for products that accept several events in one request.
	Batch Batch `yaml:"batch,omitempty"`

	// Capture selects the attempts whose requests and responses are kept: `failures`, or `all`.
	Capture capture `yaml:"capture,omitempty"`

	// Transport is `fast`, which speaks HTTP/1.1 at least cost, or `std`, which also speaks HTTP/2; without it, `std` for
	// connections and `fast` for webhooks.
	Transport outbound.Transport `yaml:"transport,omitempty"`

	// TLS is for your own receivers: a webhook, or a connection with a `base_url`.
	TLS tlsSettings `yaml:"tls,omitempty"`

	// Order is reserved and cannot be set yet.
	Order later `yaml:"order,omitempty" later:"true"`

	// Enabled `false` sends nothing.
	Enabled *bool `yaml:"enabled,omitempty"`

	// Tenant owns it; without it, the file's.
	Tenant tenantName `yaml:"tenant,omitempty"`
}

// tlsSettings are PEM, or paths of PEM files, relative to the folder of the configuration's file.
type tlsSettings struct {
	// CA is the authorities that signed the receiver's certificate; they are trusted in addition to the others. It is PEM or
	// the path of a PEM file, like the two other settings.
	CA string `yaml:"ca,omitempty"`

	// Cert is the client certificate that the receiver asks for, with its intermediate certificates.
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

// webhookSettings is a subscription to signed events. Further settings belong to the webhook connector.
type webhookSettings struct {
	// Name is the webhook's name, which rules can use in `send`.
	Name entityName `yaml:"name"`

	// Title is a name for people, at most 200 characters on one line; it need not be unique.
	Title displayText `yaml:"title,omitempty"`

	// Events are those it subscribes to: types, `response.*`, `*`, or a platform's own names. Without them it receives only
	// events from rules that name it.
	Events []string `yaml:"events,omitempty"`

	// When is a condition for the events it subscribes to.
	When *expression.Condition `yaml:"when,omitempty"`

	// Settle waits until the response has come to rest, as it does in a rule.
	Settle settleSettings `yaml:"settle,omitempty"`

	// Timezone is that of `received.hour` and `received.weekday`, such as `Europe/Istanbul`; without it, UTC.
	Timezone zone `yaml:"timezone,omitempty"`

	deliverySettings `yaml:",inline"`

	Connector document.Map[*document.Node] `yaml:",inline"`
	Node      *document.Node               `yaml:",node"`
}

// ruleSettings is a rule: events, a condition and where to send them.
type ruleSettings struct {
	// Name is the rule's name.
	Name entityName `yaml:"name"`

	// Events are those it applies to: types, `response.*`, `*`, or a platform's own names; without them, `response.completed`.
	Events []string `yaml:"events,omitempty"`

	// When is the condition; without it, every such event matches.
	When *expression.Condition `yaml:"when,omitempty"`

	// Send lists the destinations: names of connections and webhooks, each alone or with settings.
	Send []stepSettings `yaml:"send"`

	// Delay is the time from the event to the first attempt.
	Delay time.Duration `yaml:"delay,omitempty"`

	// Settle waits until the response has come to rest: the time without another event of it that the rule gets, such as `2m`, or
	// `{for, until}`. The condition is then asked of the response as it stands, and the newest event alone is sent, with all that is known.
	Settle settleSettings `yaml:"settle,omitempty"`

	// Timezone is that of `received.hour` and `received.weekday`, and of `quiet` without its own, such as `Europe/Istanbul`; without
	// it, UTC.
	Timezone zone `yaml:"timezone,omitempty"`

	// Quiet are hours of the day in which nothing is sent; what is owed waits for their end.
	Quiet quietSettings `yaml:"quiet,omitempty"`

	// AtMost bounds how many messages each step sends in a period; the periods begin at whole multiples of it, UTC.
	AtMost atMostSettings `yaml:"at_most,omitempty"`

	// ContactCap bounds how often a person hears from all rules of a connection or webhook that have a cap.
	ContactCap contactCapSettings `yaml:"contact_cap,omitempty"`

	// Once `response` sends each response at most once to each step within 30 days. A response is identified by its source,
	// survey and response id; events without a response id are all sent.
	Once once `yaml:"once,omitempty"`

	// Enabled `false` sends nothing.
	Enabled *bool `yaml:"enabled,omitempty"`

	// Tests are run by `surveygate test`.
	Tests []testSettings `yaml:"tests,omitempty"`

	// Tenant owns the rule; `*` runs it in every tenant; without it, the file's.
	Tenant ruleTenant `yaml:"tenant,omitempty"`

	Node *document.Node `yaml:",node"`
}

// settleSettings is a time, or a time with a condition.
type settleSettings struct {
	// For is the time without another event of the response; with `until`, the time from its first event.
	For time.Duration `yaml:"for"`
	// Until ends the wait as soon as it is true of the response as it stands, such as `has(email)`.
	Until *expression.Condition `yaml:"until,omitempty"`
}

// testSettings is one test of a rule.
type testSettings struct {
	// Given is an event in surveygate's own format, or `{source, file}` for a platform's own body, or a list of events of one
	// response, in the order in which they are received.
	Given *document.Node `yaml:"given"`

	// Expect lists the steps that are sent, without skipped ones.
	Expect []string `yaml:"expect"`

	Node *document.Node `yaml:",node"`
}

// tokenSettings grants access to the API.
type tokenSettings struct {
	// Name identifies the token in logs.
	Name entityName `yaml:"name"`

	// Secret is the token itself, 32 characters or more.
	Secret connectors.Secret `yaml:"secret"`

	// Tenant owns the token; `*` gives it access to every tenant; without it, the file's.
	Tenant ruleTenant `yaml:"tenant,omitempty"`

	// Scopes are its permissions: `read`, `write` (retry, replay, pause), `publish`, `secrets` (see path tokens), `settings`
	// (webhooks, connections, sources, rules) and `admin` (tenants, tokens, audit, imports).
	Scopes []scope `yaml:"scopes"`

	// Sources are the sources that it may publish as, with `?source=` or with a source in the event; without it, only `api`.
	// `*` is every source.
	Sources []sourceName `yaml:"sources,omitempty"`

	Node *document.Node `yaml:",node"`
}

// retentionSettings limits what is kept. On Redis the default sizes are shares of maxmemory: 40 % for events, 5 % for dedupe
// and 15 % for the deliveries that wait for one destination; without a maxmemory, 1 GiB in all. Sizes of events and dedupe
// apply to all tenants together: state.Level chooses the tenant that loses data when they are exceeded.
type retentionSettings struct {
	// Events are kept with their raw bytes; the default is 7d and 10GiB (on Redis 40 % of maxmemory). The size applies to all
	// tenants together: when it is exceeded, the tenant with the most bytes loses its oldest events. A tenant that uses no more
	// than an equal share loses nothing because of others.
	Events bound `yaml:"events,omitempty"`
	// Dedupe is how long a repeated event is recognised; the default is 7d and 512MiB (on Redis 5 % of maxmemory). Tenants
	// share the size as they share that of events.
	Dedupe bound `yaml:"dedupe,omitempty"`
	// History limits the records of finished deliveries; the default is 30d and 10000.
	History historyBound `yaml:"history,omitempty"`
	// Dead limits dead letters; the default is 30d.
	Dead ageBound `yaml:"dead,omitempty"`
	// Waiting limits the deliveries that wait for one destination; the default is 14d, 1000000 and 4GiB (on Redis 15 % of
	// maxmemory).
	Waiting waitingBound `yaml:"waiting,omitempty"`
}

// limitsSettings are the operator's limits of each tenant.
type limitsSettings struct {
	// Webhooks is how many webhooks a tenant may have; the default is 100.
	Webhooks *int `yaml:"webhooks,omitempty"`
	// Connections is how many connections a tenant may have; the default is 20.
	Connections *int `yaml:"connections,omitempty"`
	// Sources is how many sources a tenant may have; the default is 50.
	Sources *int `yaml:"sources,omitempty"`
	// Rules is how many rules a tenant may have; the default is 100.
	Rules *int `yaml:"rules,omitempty"`
	// Tokens is how many tokens a tenant may have; the default is 50.
	Tokens *int `yaml:"tokens,omitempty"`
	// EventsPerMinute is how many events a tenant may publish on `/v1/events` in a minute, on each replica; the default, 0, is no
	// limit. Requests of platforms are never refused because of it.
	EventsPerMinute *int `yaml:"events_per_minute,omitempty"`
}

// portalSettings is for links to the portal.
type portalSettings struct {
	// Origins are the pages that may show the portal in a frame, such as `https://app.example.com`; without any, none may.
	Origins []string `yaml:"origins,omitempty"`
}

type bound struct {
	// Age is the maximum age.
	Age *time.Duration `yaml:"age,omitempty"`
	// Bytes is the maximum size.
	Bytes *size `yaml:"bytes,omitempty"`
}

type ageBound struct {
	// Age is the maximum age.
	Age *time.Duration `yaml:"age,omitempty"`
}

type historyBound struct {
	// Age is the maximum age.
	Age *time.Duration `yaml:"age,omitempty"`
	// PerDestination is the maximum number for each destination.
	PerDestination *int `yaml:"per_destination,omitempty"`
}

type waitingBound struct {
	// Age is the maximum wait.
	Age *time.Duration `yaml:"age,omitempty"`
	// Count is the maximum number.
	Count *int `yaml:"count,omitempty"`
	// Bytes is the maximum size.
	Bytes *size `yaml:"bytes,omitempty"`
}

// Misnamed returns a remedy for names that other tools use for these settings.
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

// Misnamed returns a remedy for names that other tools use for these settings.
func (*webhookSettings) Misnamed(key string) string {
	switch key {
	case "on", "event", "event_types":
		return "write events: [response.completed]"
	case "secret":
		return `write secrets: ["${NAME}"], a list, so that two may stand there while one is changed`
	case "send":
		return "a webhook sends to its own url; a rule sends to several destinations"
	}
	return ""
}

// Misnamed returns a remedy for names that other tools use for these settings.
func (*sourceSettings) Misnamed(key string) string {
	switch key {
	case "secret":
		return `write secrets: ["${NAME}"], a list, so that two may stand there while one is changed`
	case "platform", "type", "kind":
		return "write profile: and the platform's name"
	case "token":
		return "write path_token: for a token in the URL, or add a token that the platform sends to secrets:"
	}
	return ""
}

// Misnamed returns a remedy for names that other tools use for these settings.
func (*tokenSettings) Misnamed(key string) string {
	if key == "token" || key == "value" {
		return "write secret:"
	}
	return ""
}
