package settings

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// addressKeys are the settings that say to which server a destination's requests go.
var addressKeys = map[string]bool{"url": true, "base_url": true}

// servers returns the servers, as scheme://host:port, that the settings of a document name, by their paths.
func servers(tree any) map[string]string {
	all := map[string]string{}
	addServers(tree, nil, all)
	return all
}

func addServers(v any, path []string, into map[string]string) {
	switch v := v.(type) {
	case []any:
		for i := range v {
			addServers(v[i], append(slices.Clip(path), strconv.Itoa(i)), into)
		}
	case map[string]any:
		for key, value := range v {
			below := append(slices.Clip(path), key)
			if text, ok := value.(string); ok && addressKeys[key] {
				into[document.JoinPath(below)] = serverOf(text)
				continue
			}
			addServers(value, below, into)
		}
	}
}

// serverOf returns the server of an address, which may have holes behind its host.
func serverOf(address string) string {
	scheme, rest, found := strings.Cut(strings.TrimSpace(address), "://")
	if !found {
		return address
	}
	host, _, _ := strings.Cut(rest, "/")
	if end := strings.IndexAny(host, "?#"); end >= 0 {
		host = host[:end]
	}
	scheme = strings.ToLower(scheme)
	port := map[string]string{"https": ":443", "http": ":80"}[scheme]
	return scheme + "://" + strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(host), port), ".")
}

// travels reports whether a request holds the secret at a path: all do but those that sign, and an address itself.
func travels(path string) bool {
	steps := document.SplitPath(path)
	last := len(steps) - 1
	return !addressKeys[steps[last]] && (last == 0 || steps[last-1] != secretsKey)
}

// sentElsewhere refuses a change that keeps secrets by their masks, and has them sent to another server than before: who may not see
// a secret could have it sent to a server of their own. kept are the paths of those secrets.
func sentElsewhere(tree any, current *read, kept []string) error {
	kept = slices.DeleteFunc(kept, func(path string) bool { return !travels(path) })
	if len(kept) == 0 {
		return nil
	}
	before, err := whole(current)
	if err != nil {
		return err
	}
	if path := newServer(before, tree); path != "" {
		return &AddressError{Path: slices.Min(kept), Address: path}
	}
	return nil
}

// newServer returns the path of a setting that names a server that the settings before did not; empty: there is none.
func newServer(before, after any) string {
	known := map[string]bool{}
	for _, server := range servers(before) {
		known[server] = true
	}
	all := servers(after)
	for _, path := range slices.Sorted(maps.Keys(all)) {
		if !known[all[path]] {
			return path
		}
	}
	return ""
}

// rulesSecrets refuses changes of destinations that have a secret of a rule sent to another server than before, unless the rule is
// among the changes, and has the secret itself. whole are all documents after the changes.
func (p *planned) rulesSecrets(whole map[string]*read) error {
	rules := map[string]*read{}
	for name, r := range whole {
		if Kind(name) == kindRule {
			rules[name] = r
		}
	}
	for _, c := range p.changes {
		if c.keeps && c.current != nil && Kind(c.Name) == kindRule {
			rules[c.Name] = c.current
		}
	}
	for _, c := range p.changes {
		if c.current == nil || c.Delete || Kind(c.Name) == kindRule {
			continue
		}
		secret, rule := ruleSecretFor(rules, Title(c.Name))
		if rule == "" {
			continue
		}
		before, err := parseTree(specJSON(c.current))
		if err != nil {
			continue // it named no server
		}
		for path, value := range c.current.Secrets { // an address may be one
			before = place(before, document.SplitPath(path), value.Expose()) //nolint:forbidigo // it is compared
		}
		after, err := parseTree(specJSON(whole[c.Name]))
		if err != nil {
			continue // it does not compile either
		}
		if path := newServer(before, after); path != "" {
			return &AddressError{Path: secret, Address: path, Rule: rule}
		}
	}
	return nil
}

const kindRule = "rule"

// ruleSecretFor returns the first secret that one of the rules gives a destination, and the rule; empty: there is none.
func ruleSecretFor(rules map[string]*read, destination string) (path, rule string) {
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		for _, path := range slices.Sorted(maps.Keys(rules[name].Secrets)) {
			if steps := document.SplitPath(path); len(steps) > 2 && steps[2] == destination {
				return path, name
			}
		}
	}
	return "", ""
}
