package settings

import (
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
	known := map[string]bool{}
	for _, server := range servers(before) {
		known[server] = true
	}
	for path, server := range servers(tree) {
		if !known[server] {
			return &AddressError{Path: slices.Min(kept), Address: path}
		}
	}
	return nil
}
