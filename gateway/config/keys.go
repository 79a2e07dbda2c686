package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// keyVariable overrides key_file.
const keyVariable = "SURVEYGATE_KEY"

// keyFile reads the keys of the vault from the file that key_file names.
func (l *loader) keyFile(f *fileSettings) {
	node := f.Node.Key("key_file")
	if node == nil || node.Unset || l.hasFault(node) {
		return
	}
	if l.options.texts {
		(document.Pair{Value: node}).Conceal() // somebody may have written the key itself
		return
	}
	const remedy = "write the path of a file with a key, relative to the folder of this one; " + vault.MakeKey
	if f.KeyFile == "" {
		l.fault(node.Fault("`key_file` is empty", remedy))
		return
	}
	path := f.KeyFile
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(node.At.File), path)
	}
	text, err := l.read(path)
	if err != nil {
		(document.Pair{Value: node}).Conceal() // somebody may have written the key itself
		if !l.options.AllowUnset {
			l.fault(node.Fault("the file of `key_file` cannot be read", remedy))
		}
		return
	}
	if l.config.Keys, err = vault.ParseKeys(string(text), "the file of `key_file`"); err != nil {
		l.fault(node.Fault("the file of `key_file` "+err.Error(), remedy))
	}
}

// overrideKeys replaces the keys of the file by those of the environment.
func (l *loader) overrideKeys(env func(name string) string) {
	text := env(keyVariable)
	if text == "" {
		return
	}
	keys, err := vault.ParseKeys(text, keyVariable)
	if err != nil {
		l.fault(document.At(keyVariable, keyVariable+" "+err.Error(), vault.MakeKey))
	}
	l.config.Keys = keys
}

// MissingKey returns the fault of a configuration that stores fetched tokens in Redis and has no key to seal them with; nil
// otherwise. It is a warning when the configuration is checked, because the key may be set where the gateway runs.
func (c *Config) MissingKey() *document.Fault {
	if c.Engine() != EngineRedis || !c.Keys.IsZero() {
		return nil
	}
	fetching := c.Fetching()
	if len(fetching) == 0 {
		return nil
	}
	names := make([]string, 0, len(fetching))
	for _, d := range fetching {
		name := d.Name
		if d.Tenant != "" && d.Tenant != DefaultTenant {
			name += " of " + d.Tenant
		}
		names = append(names, "`"+name+"`")
	}
	fault := document.Fault{
		Position: fetching[0].At,
		Message:  fmt.Sprintf("the gateway fetches tokens for %s and needs a key to seal them in Redis, and none is set", few(names)),
		Remedy:   "set " + keyVariable + " or `key_file` to the same key for all replicas; " + vault.MakeKey,
	}
	return &fault
}

// Fetching returns the destinations whose access tokens the gateway fetches.
func (c *Config) Fetching() []*Destination {
	var all []*Destination
	for _, d := range c.Destinations {
		if _, ok := connectors.TokenOf(d.Alone); ok && d.Enabled {
			all = append(all, d)
		}
	}
	return all
}

// SharedTokens returns a warning for each destination with a refresh token that one before it has, too. Each keeps the tokens that
// follow for itself, and a product that replaces a refresh token accepts it once.
func (c *Config) SharedTokens() []document.Fault {
	var faults []document.Fault
	first := map[connectors.Secret]*Destination{}
	for _, d := range c.Fetching() {
		auth, _ := connectors.TokenOf(d.Alone)
		if auth.Grant != connectors.GrantRefreshToken || auth.RefreshToken.IsZero() {
			continue
		}
		other := first[auth.RefreshToken]
		if other == nil {
			first[auth.RefreshToken] = d
			continue
		}
		faults = append(faults, document.Fault{
			Position: d.At,
			Message:  fmt.Sprintf("`%s` has the same refresh token as `%s`, and a product may accept it once", d.Name, other.Name),
			Remedy:   "obtain a refresh token for each connection, or use one connection in several steps",
		})
	}
	return faults
}

// few lists three names, and replaces those beyond by their count.
func few(names []string) string {
	if len(names) <= 3 {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:3], ", "), len(names)-3)
}
