package source

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"sort"
	"sync"

	"github.com/surveygate/surveygate/configs"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// Library holds the profiles that a configuration may name: built-in ones, and those that files add or override. Do not add to it
// while it is in use.
type Library struct {
	profiles map[string]*Profile
	files    map[string]string // files of added profiles, for faults
}

// builtin compiles the embedded profiles, once.
var builtin = sync.OnceValues(func() (map[string]*Profile, error) {
	profiles := map[string]*Profile{}
	names, err := fs.Glob(configs.Sources, "sources/*.yaml")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := configs.Sources.ReadFile(name)
		if err != nil {
			return nil, err
		}
		p, faults := Parse(name, text)
		if len(faults) > 0 {
			return nil, faults
		}
		if want := path.Base(name); want != p.Name+".yaml" {
			return nil, fmt.Errorf("%s: holds the profile %s", name, p.Name)
		}
		profiles[p.Name] = p
	}
	return profiles, nil
})

// Builtin returns a library of the built-in profiles.
func Builtin() *Library {
	profiles, err := builtin()
	if err != nil {
		panic("source: built-in profiles: " + err.Error()) // a test loads all of them
	}
	return &Library{profiles: maps.Clone(profiles), files: map[string]string{}}
}

// Add parses a profile from a file's text. It overrides a built-in profile of the same name; two files with the same name are a
// fault.
func (l *Library) Add(file string, text []byte) document.Faults {
	p, faults := Parse(file, text)
	if len(faults) > 0 {
		return faults
	}
	if before, taken := l.files[p.Name]; taken {
		return document.Faults{document.At(file, fmt.Sprintf("the profile %s is already defined by %s", p.Name, before), "give one of them another name")}
	}
	l.profiles[p.Name] = p
	l.files[p.Name] = file
	return nil
}

// AddFiles adds all .yaml and .yml files of a folder, sorted by name.
func (l *Library) AddFiles(files fs.FS) (document.Faults, error) {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		return nil, fmt.Errorf("read profiles: %w", err)
	}
	var faults document.Faults
	for _, entry := range entries {
		if ext := path.Ext(entry.Name()); entry.IsDir() || ext != ".yaml" && ext != ".yml" {
			continue
		}
		text, err := fs.ReadFile(files, entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read profiles: %w", err)
		}
		faults = append(faults, l.Add(entry.Name(), text)...)
	}
	return faults, nil
}

// Profile returns a profile by name.
func (l *Library) Profile(name string) (*Profile, bool) {
	p, ok := l.profiles[name]
	return p, ok
}

// Names returns the names of all profiles, sorted.
func (l *Library) Names() []string { return slices.Sorted(maps.Keys(l.profiles)) }

// Aliases returns the platforms' own event names of all profiles, each with its canonical types, sorted. `events:` of rules and
// webhooks may contain these names.
func (l *Library) Aliases() map[string][]string {
	aliases := map[string][]string{}
	for _, p := range l.profiles {
		for own, canonical := range p.Type.Map {
			if !slices.Contains(aliases[own], string(canonical)) {
				aliases[own] = append(aliases[own], string(canonical))
			}
		}
	}
	for _, types := range aliases {
		sort.Strings(types)
	}
	return aliases
}
