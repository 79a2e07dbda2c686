package compare

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// The kinds of items, in the order of an answer.
const (
	kindSource     = "source"
	kindConnection = "connection"
	kindWebhook    = "webhook"
	kindRule       = "rule"
	kindToken      = "token"
	kindSetting    = "setting"
)

var kinds = []string{kindSource, kindConnection, kindWebhook, kindRule, kindToken, kindSetting}

// How an item differs.
const (
	changeAdded          = "added"
	changeRemoved        = "removed"
	changeChanged        = "changed"
	changeRecredentialed = "recredentialed" //nolint:gosec // a word, and no credential
)

// profileFile is among the settings of a source where the file of its profile differs.
const profileFile = "profile (its file)"

// maxPaths bounds the settings of one item that are named.
const maxPaths = 20

// difference is how one item differs.
type difference struct {
	change            string
	settings, secrets []string // paths
}

// only reports whether the settings that differ are all within these, by the first step of their paths.
func (d *difference) only(names ...string) bool {
	return d != nil && d.change != changeAdded && d.change != changeRemoved && !slices.ContainsFunc(d.settings, func(path string) bool {
		first, _, _ := strings.Cut(path, ".")
		return !slices.Contains(names, first)
	})
}

// differences returns what differs between two configurations.
func differences(before, after map[item]*config.Written) map[item]*difference {
	all := map[item]*difference{}
	for at, was := range before {
		is := after[at]
		if is == nil {
			all[at] = &difference{change: changeRemoved}
			continue
		}
		if d := differ(was, is); d != nil {
			all[at] = d
		}
	}
	for at := range after {
		if before[at] == nil {
			all[at] = &difference{change: changeAdded}
		}
	}
	return all
}

// differ returns how an item differs; nil: it does not.
func differ(was, is *config.Written) *difference {
	d := &difference{change: changeChanged, secrets: differingSecrets(was.Secrets, is.Secrets)}
	differing(parse(was.Spec), parse(is.Spec), nil, func(path string, a, b any) {
		if was.Kind == kindWebhook && path == "url" && (isVariable(a) || isVariable(b)) { // whose value is a secret
			d.secrets = append(d.secrets, path)
			return
		}
		d.settings = append(d.settings, path)
	})
	if was.Profile != is.Profile && !slices.Contains(d.settings, "profile") {
		d.settings = append(d.settings, profileFile)
	}
	switch {
	case len(d.settings)+len(d.secrets) == 0:
		return nil
	case len(d.settings) == 0:
		d.change = changeRecredentialed
	}
	return d
}

// parse reads the settings of an item, with numbers as they are written.
func parse(spec []byte) (tree any) {
	d := json.NewDecoder(bytes.NewReader(spec))
	d.UseNumber()
	_ = d.Decode(&tree) // it was written as JSON
	return tree
}

func differingSecrets(a, b map[string]connectors.Secret) (paths []string) {
	for path, secret := range a {
		if b[path] != secret {
			paths = append(paths, path)
		}
	}
	for path := range b {
		if _, there := a[path]; !there {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// absent is a value that a tree does not have.
type absent struct{}

// isVariable reports whether a value is ${…} alone.
func isVariable(v any) bool {
	text, ok := v.(string)
	return ok && strings.HasPrefix(text, "${") && strings.IndexByte(text, '}') == len(text)-1
}

// differing calls found with the paths at which two trees differ, down to their leaves, and with what is there.
func differing(a, b any, path []string, found func(path string, a, b any)) {
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			for _, key := range keysOf(x, y) {
				differing(valueOf(x, key), valueOf(y, key), append(slices.Clip(path), key), found)
			}
			return
		}
	case []any:
		if y, ok := b.([]any); ok {
			for i := range max(len(x), len(y)) {
				differing(itemOf(x, i), itemOf(y, i), append(slices.Clip(path), strconv.Itoa(i)), found)
			}
			return
		}
	default:
		if a == b {
			return
		}
	}
	found(document.JoinPath(path), a, b)
}

func keysOf(x, y map[string]any) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(x)), maps.Keys(y))
	slices.Sort(keys)
	return slices.Compact(keys)
}

func valueOf(m map[string]any, key string) any {
	if v, ok := m[key]; ok {
		return v
	}
	return absent{}
}

func itemOf(list []any, i int) any {
	if i < len(list) {
		return list[i]
	}
	return absent{}
}

// configuration adds the differences by name.
func (c *comparison) configuration() {
	for at, d := range c.differences {
		v := view.PlanItem{Kind: at.kind, Tenant: at.tenant, Name: at.name, Change: d.change}
		v.Settings, v.More = few(d.settings, v.More)
		v.Secrets, v.More = few(d.secrets, v.More)
		if at.kind == kindSetting { // whose paths begin with its name
			for i := range v.Settings {
				v.Settings[i] = strings.TrimPrefix(v.Settings[i], at.name+".")
			}
			if slices.Equal(v.Settings, []string{at.name}) {
				v.Settings = nil
			}
		}
		c.out.Configuration = append(c.out.Configuration, v)
	}
	slices.SortFunc(c.out.Configuration, func(a, b view.PlanItem) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Name, b.Name))
	})
}

func few(paths []string, before int) (first []string, more int) {
	if len(paths) <= maxPaths {
		return slices.Clone(paths), before
	}
	return slices.Clone(paths[:maxPaths]), before + len(paths) - maxPaths
}

// documents adds the stored documents of a tenant whose state the new files change.
func (c *comparison) documents(t *tenant) {
	was, is := t.before.Overlay(t.name), t.after.Overlay(t.name)
	if was == nil || is == nil {
		return
	}
	for i := range min(len(was.Documents), len(is.Documents)) { // of the same documents, by name
		a, b := &was.Documents[i], &is.Documents[i]
		if a.State == b.State {
			continue
		}
		kind, name, _ := strings.Cut(b.Name, "/")
		v := view.PlanItem{Kind: kind, Tenant: t.name, Name: name, Change: string(b.State), Stored: true}
		if len(b.Faults) > 0 {
			v.Why = b.Faults[0].Message
		}
		c.out.Configuration = append(c.out.Configuration, v)
	}
}
