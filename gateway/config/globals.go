package config

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

const day = 24 * time.Hour

// defaultRetention is the retention when nothing is set. The store sets the default bytes, because it knows its capacity.
func defaultRetention() state.Retention {
	return state.Retention{
		Events:  state.Bound{Age: 7 * day},
		Dedupe:  state.Bound{Age: 7 * day},
		History: state.HistoryBound{Age: 30 * day, PerDestination: 10_000},
		Dead:    state.Bound{Age: 30 * day},
		Waiting: state.WaitingBound{Age: 14 * day, Count: 1_000_000},
	}
}

// setOnce reports whether this file has a global setting that no earlier file has.
func (l *loader) setOnce(f *fileSettings, name string) bool {
	key := f.Node.Named(name)
	if key == nil {
		return false
	}
	if first := l.single[name]; first != nil {
		l.fault(key.Fault(fmt.Sprintf("`%s` is set in two files", name), fmt.Sprintf("it is also set at %s: keep one", first.At)))
		return false
	}
	l.single[name] = key
	return true
}

// globals applies a file's global settings.
func (l *loader) globals(f *fileSettings) {
	c := l.config
	if l.setOnce(f, "listen") && f.Listen != "" {
		c.Listen = string(f.Listen)
	}
	if l.setOnce(f, "public_url") {
		l.publicURL(f)
	}
	if l.setOnce(f, "console") {
		l.console(f)
	}
	if l.setOnce(f, "drain") {
		l.drain(f)
	}
	if l.setOnce(f, "trusted_proxies") {
		l.proxies(f)
	}
	if l.setOnce(f, "data") {
		if c.Data = f.Data; c.Data == "" {
			l.fault(f.Node.Key("data").Fault("`data` is empty", "name a folder, or remove the setting"))
		}
	}
	if l.setOnce(f, "redis") {
		l.redis(f)
	}
	if l.setOnce(f, "key_file") {
		l.keyFile(f)
	}
	if l.setOnce(f, "retention") {
		l.retention(f)
	}
	if l.setOnce(f, "limits") {
		l.limits(f)
	}
	if l.setOnce(f, "portal") {
		l.portal(f)
	}
	if l.setOnce(f, "outbound") {
		c.Outbound = f.Outbound
		if proxy := f.Node.Key("outbound").Key("proxy"); proxy != nil && !proxy.Unset {
			if err := c.Outbound.Check(); err != nil {
				l.fault(proxy.Refusal("proxy", err))
			}
		}
		l.authorities(f.Node.Key("outbound").Key("ca"))
	}
}

func (l *loader) publicURL(f *fileSettings) {
	node := f.Node.Key("public_url")
	if !l.hasFault(node) {
		l.config.PublicURL = l.checkedURL(node, f.PublicURL, "write the address that your platforms reach, such as https://surveys.example.com")
	}
}

// checkedURL returns a `public_url` without slashes at its end; empty where it is unset or faulty.
func (l *loader) checkedURL(node *document.Node, text, remedy string) string {
	if node.Unset {
		return ""
	}
	if err := CheckPublicURL(text); err != nil {
		l.fault(node.Fault(fmt.Sprintf("`public_url` is %v", err), remedy))
		return ""
	}
	return strings.TrimRight(text, "/")
}

// CheckPublicURL returns an error if a text cannot be the beginning of the URLs of sources.
func CheckPublicURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return errors.New("no URL that begins with https:// or http://")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(text, "#"):
		return errors.New("more than a scheme, a host and a path")
	}
	return connectors.CheckPort(u.Port())
}

// maxDrain is longer than a load balancer needs, and short enough that a stop does not seem to hang.
const maxDrain = 10 * time.Minute

func (l *loader) drain(f *fileSettings) {
	node := f.Node.Key("drain")
	if f.Drain == nil || node.Unset || l.hasFault(node) {
		return
	}
	if *f.Drain < 0 || *f.Drain > maxDrain {
		l.fault(node.Fault(fmt.Sprintf("`drain` is %s", *f.Drain), "write 0s to 10m, such as 5s: the time in which your load balancer notices that `/readyz` answers 503"))
		return
	}
	l.config.Drain = *f.Drain
}

// proxies applies the trusted networks. It refuses 0.0.0.0/0 and ::/0, because then every sender could forge its address.
func (l *loader) proxies(f *fileSettings) {
	l.config.TrustedProxies = f.TrustedProxies
	node := f.Node.Key("trusted_proxies")
	for i, network := range f.TrustedProxies {
		if network.IsValid() && network.Bits() == 0 && len(node.Items) == len(f.TrustedProxies) {
			l.fault(node.Items[i].Fault(fmt.Sprintf("`%s` trusts every sender, and each could forge its address", network), "write the networks of your proxies, such as 10.0.0.0/8"))
		}
	}
}

// override applies flags and the environment, which win over the files.
func (l *loader) override() {
	env := func(name string) string {
		if value, ok := l.options.Env(name); ok {
			return strings.TrimFunc(value, connectors.IsBlank)
		}
		return ""
	}
	for _, o := range []struct {
		into *string
		from [2]string
	}{
		{&l.config.Listen, [2]string{l.options.Listen, env("SURVEYGATE_LISTEN")}},
		{&l.config.Data, [2]string{l.options.Data, env("SURVEYGATE_DATA")}},
	} {
		for _, value := range o.from {
			if value != "" {
				*o.into = value
				break
			}
		}
	}
	l.overrideRedis(env)
	l.overrideKeys(env)
}

func (l *loader) retention(f *fileSettings) {
	r, s := &l.config.Retention, f.Retention
	put(&r.Events.Age, s.Events.Age)
	put(&r.Dedupe.Age, s.Dedupe.Age)
	put(&r.History.Age, s.History.Age)
	put(&r.Dead.Age, s.Dead.Age)
	put(&r.Waiting.Age, s.Waiting.Age)
	put(&r.History.PerDestination, s.History.PerDestination)
	put(&r.Waiting.Count, s.Waiting.Count)
	put(&r.Events.Bytes, bytesOf(s.Events.Bytes))
	put(&r.Dedupe.Bytes, bytesOf(s.Dedupe.Bytes))
	put(&r.Waiting.Bytes, bytesOf(s.Waiting.Bytes))
	node := f.Node.Key("retention")
	for _, n := range []struct {
		part, setting string
		small         bool
	}{
		{"events", "age", r.Events.Age < time.Minute},
		{"dedupe", "age", r.Dedupe.Age < time.Minute},
		{"history", "age", r.History.Age < time.Minute},
		{"dead", "age", r.Dead.Age < time.Minute},
		{"waiting", "age", r.Waiting.Age < time.Minute},
		{"events", "bytes", r.Events.Bytes < 1<<20},
		{"dedupe", "bytes", r.Dedupe.Bytes < 1<<20},
		{"waiting", "bytes", r.Waiting.Bytes < 1<<20},
		{"waiting", "count", r.Waiting.Count < 1},
		{"history", "per_destination", r.History.PerDestination < 1},
	} {
		if at := node.Key(n.part).Key(n.setting); n.small && at != nil && !at.Unset && !l.hasFault(at) {
			l.fault(at.Fault(fmt.Sprintf("`%s` is too small", n.setting), "write at least 1m, 1MiB or 1"))
		}
	}
}

func put[T any](into *T, value *T) {
	if value != nil {
		*into = *value
	}
}

func bytesOf(s *size) *int64 {
	if s == nil {
		return nil
	}
	n := int64(*s)
	return &n
}

// minToken is the minimum length of a token, in characters.
const minToken = 32

func (l *loader) addTokens(f *fileSettings) {
	for _, s := range f.Tokens {
		if l.enough() {
			return
		}
		token := &Token{Name: string(s.Name), Secret: s.Secret, Tenant: l.owner(f, tenantName(s.Tenant)), At: s.Node.At, Sum: sumOf(s.Node)}
		for _, scope := range s.Scopes {
			token.Scopes = append(token.Scopes, string(scope))
		}
		for _, name := range s.Sources {
			token.Sources = append(token.Sources, string(name))
		}
		if len(token.Sources) == 0 {
			token.Sources = []string{event.DefaultSource}
		}
		secret, scopes, sources := s.Node.Key("secret"), s.Node.Key("scopes"), s.Node.Key("sources")
		switch {
		case secret == nil || secret.Unset || l.hasFault(secret):
		case s.Secret.Len() < minToken:
			l.fault(secret.Fault(fmt.Sprintf("the token has %d characters and needs at least %d", s.Secret.Len(), minToken), "`surveygate secret` prints one"))
		default:
			for _, other := range l.config.Tokens {
				if other.Secret == s.Secret {
					l.fault(secret.Fault(fmt.Sprintf("the token `%s` has the same secret", other.Name), "give each token its own secret; `surveygate secret` prints one"))
				}
			}
		}
		if scopes != nil && len(s.Scopes) == 0 && !l.hasFault(scopes) {
			l.fault(scopes.Fault("the token has no scopes", "write scopes: [publish], or more of "+strings.Join(Scopes, ", ")))
		}
		switch {
		case sources == nil || l.hasFault(sources):
		case len(s.Sources) == 0:
			l.fault(sources.Fault("`sources` is empty", "name the sources that the token may publish as, or remove the setting: then it publishes as `api`"))
		case scopes != nil && !l.hasFault(scopes) && !slices.Contains(token.Scopes, "publish"):
			l.fault(sources.Fault("`sources` needs the scope `publish`, which this token does not have", "add publish to its scopes, or remove sources"))
		}
		if i := slices.IndexFunc(l.config.Tokens, func(t *Token) bool {
			return t.Name == token.Name && t.Name != "" && t.Tenant == token.Tenant
		}); i >= 0 {
			l.fault(s.Node.Key("name").Fault(fmt.Sprintf("the token `%s` is defined twice", token.Name), fmt.Sprintf("the other is at %s: rename one of them", l.config.Tokens[i].At)))
		}
		l.config.Tokens = append(l.config.Tokens, token)
		if l.options.texts {
			l.write(&Item{Tenant: token.Tenant, Name: token.Name, At: token.At}, kindToken, s.Node)
		}
	}
}

// owner returns the tenant of an item: its own, the file's, or the default.
func (l *loader) owner(f *fileSettings, own tenantName) string {
	switch {
	case own != "":
		return string(own)
	case f.Tenant != "":
		return string(f.Tenant)
	}
	return DefaultTenant
}

// claim registers a name that is defined at key. If the name is taken, it adds a fault that names both positions.
func (l *loader) claim(names map[target]*document.Node, at target, key *document.Node, what string) bool {
	if first := names[at]; first != nil {
		l.twice(key, first, what, at)
		return false
	}
	names[at] = key
	return true
}

func (l *loader) twice(key, first *document.Node, what string, at target) {
	ofTenant := ""
	if at.tenant != DefaultTenant {
		ofTenant = fmt.Sprintf(" of tenant `%s`", at.tenant)
	}
	l.fault(key.Fault(fmt.Sprintf("the %s `%s`%s is defined twice", what, at.name, ofTenant), fmt.Sprintf("the other is at %s: rename one of them", first.At)))
}

// enabled returns the setting, which is true by default.
func enabled(setting *bool) bool { return setting == nil || *setting }
