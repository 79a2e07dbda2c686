package config

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/files"
)

// The bounds of a bundle, which somebody else may have written.
const (
	MaxBundle      = 4 << 20 // bytes of all texts
	MaxBundleFiles = 1000
	// maxBundleItems bounds what the files define: sources, connections, webhooks, tokens, rules and their steps. Rules of every tenant
	// times destinations would otherwise take minutes.
	maxBundleItems = 20_000
	// maxBundleBuilds bounds the steps of rules of every tenant, each for each tenant that has its destination, and maxBundleFaults the faults.
	maxBundleBuilds, maxBundleFaults = 100_000, 200
)

// Bundle is the text of a configuration: its YAML files, and the profiles that they refer to. Files with secrets, keys and
// certificates are never part of it.
type Bundle struct {
	// Files are the YAML files of the configuration. A name has no folder.
	Files []BundleFile
	// Profiles are the files of profiles. A name is the path as the configuration writes it, relative to its folder.
	Profiles []BundleFile
}

// BundleFile is one file of a bundle.
type BundleFile struct {
	Name string
	// Text may have secrets.
	Text []byte `json:"-"`
}

// Format prints the name alone, whatever the verb.
func (f BundleFile) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.Name) }

// ReadBundle reads the text of a configuration, and compiles it as LoadBundle does. Faults have the paths of the files, as those of Load.
func ReadBundle(path string) (*Bundle, *Config, error) {
	from := &files.Reader{}
	inputs, err := read(from, cmp.Or(path, DefaultPath))
	if err != nil {
		return nil, nil, err
	}
	c, err := loadTexts(from.ReadFile, inputs)
	if err != nil {
		return nil, nil, err
	}
	return c.Bundle, c, c.Bundle.check()
}

// LoadBundle compiles a configuration from its text alone. It reads no file and no environment: ${NAME} stands for itself, so that two
// bundles compiled like this have equal values where they have equal texts. Settings that depend on it are not checked, and the result
// cannot send. Config.Written is set. The error is document.Faults.
func LoadBundle(b *Bundle) (*Config, error) {
	if err := b.check(); err != nil {
		return nil, err
	}
	profiles := map[string][]byte{}
	for _, f := range b.Profiles {
		profiles[filepath.Clean(f.Name)] = f.Text
	}
	inputs := make([]input, len(b.Files))
	for i, f := range b.Files {
		inputs[i] = input{f.Name, f.Name, f.Text}
	}
	slices.SortFunc(inputs, func(a, b input) int { return cmp.Compare(a.name, b.name) })
	return loadTexts(func(path string) ([]byte, error) {
		if text, ok := profiles[filepath.Clean(path)]; ok {
			return text, nil
		}
		return nil, fs.ErrNotExist
	}, inputs)
}

func loadTexts(profile func(path string) ([]byte, error), inputs []input) (*Config, error) {
	return load(Options{
		AllowUnset: true, Env: func(string) (string, bool) { return "", false }, Now: clock.System().Now(), texts: true,
	}, profile, inputs)
}

// check refuses a bundle that is too large, or whose names are not those of files of one folder.
func (b *Bundle) check() error {
	var faults document.Faults
	size, seen := 0, map[string]bool{}
	for _, f := range b.Files {
		size += len(f.Text)
		switch {
		case f.Name == "" || f.Name == "." || f.Name == ".." || f.Name != filepath.Base(f.Name) || f.Name == "/":
			faults = append(faults, document.At(printable(f.Name), "this is not the name of a file of a configuration", "write the name without its folder, such as surveygate.yaml"))
		case seen[f.Name]:
			faults = append(faults, document.At(f.Name, "the file is there twice", "send it once"))
		}
		seen[f.Name] = true
	}
	for _, f := range b.Profiles {
		size += len(f.Text)
	}
	switch {
	case len(b.Files) == 0:
		faults = append(faults, document.At("files", "there is no file", "send those of the configuration"))
	case len(b.Files)+len(b.Profiles) > MaxBundleFiles:
		faults = document.Faults{document.At("files", fmt.Sprintf("there are more than %d files", MaxBundleFiles), "write fewer and longer ones")}
	case size > MaxBundle:
		faults = document.Faults{document.At("files", fmt.Sprintf("the files have more than %d MiB together", MaxBundle>>20), "make them shorter")}
	}
	if len(faults) > 0 {
		return faults
	}
	return nil
}

// Written is something that the files define, as they write it.
type Written struct {
	// Kind is source, connection, webhook, rule, token or, for what is not of a tenant, setting.
	Kind, Tenant, Name string
	At                 document.Position
	// Spec is JSON without the secrets; lists of secrets are empty. ${NAME} stands as such, and $${ for a literal ${.
	Spec []byte
	// Secrets are the values of secrets by their path, with ${NAME} as such.
	Secrets map[string]connectors.Secret
	// Profile is a digest of the file of a source's profile; empty for a profile that is built in.
	Profile string
}

// Kinds of Written beside those of documents.
const (
	kindToken   = "token"
	kindSetting = "setting"
)

// ofItems are the keys of a file whose values are not settings of the gateway.
var ofItems = []string{"sources", "connections", "webhooks", "rules", "tokens", "tenant"}

// note sets what is known of the text of the configuration: its bundle and, for a text alone, Written.
func (l *loader) note(inputs []input) {
	b := &Bundle{Files: make([]BundleFile, len(inputs))}
	for i, in := range inputs {
		b.Files[i] = BundleFile{in.key, in.text}
	}
	for _, p := range l.profileTexts {
		b.Profiles = append(b.Profiles, BundleFile{p.key, p.text})
	}
	l.config.Bundle = b
	if !l.options.texts {
		return
	}
	for _, w := range l.written {
		node := w.node.With(func(key string) bool {
			return key != "tenant" && (key != "name" || w.kind == kindConnection || w.kind == kindSource)
		})
		written := writtenOf(w.kind, w.item.Tenant, w.item.Name, node)
		written.At = w.item.At
		if w.kind == kindSource {
			written.Profile = l.profileDigest(node.Key("profile"))
		}
		l.config.Written = append(l.config.Written, written)
	}
	for _, f := range l.files {
		for _, p := range f.Node.Pairs {
			if !slices.Contains(ofItems, p.Key.Text) {
				// Within a mapping: a text may be a secret by itself.
				written := writtenOf(kindSetting, "", p.Key.Text, f.Node.With(func(key string) bool { return key == p.Key.Text }))
				written.At = p.Key.At
				l.config.Written = append(l.config.Written, written)
			}
		}
	}
}

func writtenOf(kind, tenant, name string, node *document.Node) Written {
	public, secrets := node.Split()
	return Written{Kind: kind, Tenant: tenant, Name: name, Spec: public.JSON(), Secrets: secrets}
}

// profileDigest returns a digest of the file of a profile; empty if it is built in.
func (l *loader) profileDigest(n *document.Node) string {
	if n == nil {
		return ""
	}
	key := filepath.Clean(n.Text)
	for _, p := range l.profileTexts {
		if p.key == key {
			return fmt.Sprintf("%x", sha256.Sum256(p.text))
		}
	}
	return ""
}

// tooMany refuses a text with more than maxBundleItems.
func (l *loader) tooMany() bool {
	n := 0
	for _, f := range l.files {
		n += len(f.Sources) + len(f.Connections) + len(f.Webhooks) + len(f.Tokens) + len(f.Rules)
		for i := range f.Rules {
			n += len(f.Rules[i].Send)
		}
	}
	const remedy = "ask about fewer at once"
	switch {
	case n > maxBundleItems:
		l.fault(document.At(l.files[0].Node.At.File, fmt.Sprintf("the configuration defines more than %d sources, connections, webhooks, rules with their steps, and tokens", maxBundleItems), remedy))
	case l.everywhere() > maxBundleBuilds:
		l.fault(document.At(l.files[0].Node.At.File, fmt.Sprintf("the rules of every tenant have more than %d steps, counted once for each tenant that has their destination", maxBundleBuilds), remedy))
	default:
		return false
	}
	return true
}

// everywhere counts the steps of rules of every tenant, each for each destination of its name.
func (l *loader) everywhere() (n int) {
	destinations := map[string]int{}
	for _, f := range l.files {
		for _, e := range f.Connections {
			destinations[e.Name]++
		}
		for i := range f.Webhooks {
			destinations[string(f.Webhooks[i].Name)]++
		}
	}
	for _, f := range l.files {
		for i := range f.Rules {
			if r := &f.Rules[i]; l.owner(f, tenantName(r.Tenant)) == AnyTenant {
				for j := range r.Send {
					name, _, _ := strings.Cut(r.Send[j].name, ".")
					n += destinations[name]
				}
			}
		}
	}
	return n
}

// enough reports whether there are as many faults of a text as anybody reads: each may cost a search for what was meant.
func (l *loader) enough() bool { return l.options.texts && len(l.faults) >= maxBundleFaults }
