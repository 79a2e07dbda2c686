package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/files"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// DefaultPath is the configuration where no other is named.
const DefaultPath = "surveygate.yaml"

// ErrNone reports that there is no configuration.
var ErrNone = errors.New("no configuration")

var errRead = errors.New("read configuration")

// IsLoadError reports whether an error comes from Load: the configuration has faults, is missing or cannot be read.
func IsLoadError(err error) bool {
	_, faults := errors.AsType[document.Faults](err)
	return faults || errors.Is(err, ErrNone) || errors.Is(err, errRead)
}

// Options say what to load.
type Options struct {
	// Path is a file, or a folder whose *.yaml files are one configuration; empty is DefaultPath.
	Path string
	// Env is what ${NAME} stands for; nil is the process's environment.
	Env func(name string) (string, bool)
	// AllowUnset takes ${NAME} without a value, as tests of rules need no secrets. What depends on it is not checked.
	AllowUnset bool
	// Listen, Data and Redis are flags, which win over SURVEYGATE_LISTEN, SURVEYGATE_DATA and SURVEYGATE_REDIS, which win
	// over the files.
	Listen, Data, Redis string
	// Now is the time of loading, which accept_test counts from; zero is now.
	Now time.Time
	// Files reads everything that a configuration is made of, and knows afterwards what that was, also where Load fails;
	// nil is a new one.
	Files *files.Reader
}

// input is one file as it was read. Name is for faults, key the same wherever the folder is.
type input struct {
	name, key string
	text      []byte
}

// Load reads a configuration. The error is document.Faults, all of them, where the files are at fault; it wraps
// ErrNone where there are none.
func Load(o Options) (*Config, error) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.Files == nil {
		o.Files = &files.Reader{}
	}
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.Now.IsZero() {
		o.Now = clock.System().Now()
	}
	inputs, err := read(o.Files, o.Path)
	if err != nil {
		return nil, err
	}
	return load(o, o.Files.ReadFile, inputs)
}

// LoadText reads a configuration that is one text in no folder: no variable has a value, and there are no other files.
func LoadText(text []byte) (*Config, error) {
	return load(Options{AllowUnset: true, Env: func(string) (string, bool) { return "", false }},
		func(string) ([]byte, error) { return nil, fs.ErrNotExist }, []input{{DefaultPath, DefaultPath, text}})
}

// read reads a file, or every .yaml and .yml of a folder, in the order of their names.
func read(from *files.Reader, path string) ([]input, error) {
	inFolder, isFolder, err := from.Folder(path, isOurs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s is not there; `surveygate demo` shows one working and writes it down", ErrNone, path)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errRead, err)
	case isFolder && len(inFolder) == 0:
		return nil, fmt.Errorf("%w: the folder %s holds no .yaml file", ErrNone, path)
	}
	names := []string{path}
	if isFolder {
		names = names[:0]
		for _, name := range inFolder {
			names = append(names, filepath.Join(path, name))
		}
	}
	inputs := make([]input, 0, len(names))
	for _, name := range names {
		text, err := from.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errRead, err)
		}
		inputs = append(inputs, input{name, filepath.Base(name), text})
	}
	return inputs, nil
}

// isOurs says that a file of a folder is part of the configuration. Those that begin with a dot are an editor's or
// Kubernetes' own.
func isOurs(name string) bool {
	ext := filepath.Ext(name)
	return !strings.HasPrefix(name, ".") && (ext == ".yaml" || ext == ".yml")
}

// load builds a configuration from its files and says everything that is wrong with them at once.
func load(o Options, read func(path string) ([]byte, error), inputs []input) (*Config, error) {
	l := &loader{
		options: o, read: read, library: source.Builtin(),
		single: map[string]*document.Node{}, profiles: map[string]*source.Profile{},
		destinations: map[target]*destination{}, sources: map[target]*document.Node{}, rules: map[string]map[string]*document.Node{},
		config: &Config{Listen: DefaultListen, Drain: DefaultDrain, Data: DefaultData, Retention: defaultRetention()},
	}
	l.aliases = l.library.Aliases()
	l.parse(inputs)
	for _, f := range l.files {
		l.globals(f)
	}
	for _, f := range l.files {
		l.addSources(f)
		l.addConnections(f)
		l.addWebhooks(f)
		l.addTokens(f)
	}
	for _, f := range l.files {
		l.addRules(f)
	}
	l.subscribe()
	l.override()
	l.streams()
	l.warn()
	if len(l.faults) > 0 {
		return nil, l.faults.Sorted()
	}
	l.config.Warnings = l.config.Warnings.Sorted()
	l.config.Kept = keep(l.config, l.digest())
	l.config.Generation = generationOf(l.config.Kept)
	return l.config, nil
}

// target is a name within a tenant.
type target struct{ tenant, name string }

// loader holds what is known while a configuration is built.
type loader struct {
	options Options
	read    func(path string) ([]byte, error) // every file but the configuration's own, as secrets and profiles
	config  *Config
	faults  document.Faults

	files   []*fileSettings
	keys    []string // of files, for the digest
	library *source.Library
	aliases map[string][]string

	single       map[string]*document.Node  // settings that one file may say
	profiles     map[string]*source.Profile // from files
	profileTexts []input
	destinations map[target]*destination
	sources      map[target]*document.Node            // keys
	rules        map[string]map[string]*document.Node // names, by rule and tenant
	webhooks     []*destination
	reaches      map[string]*reach // by tenant; see reachOf
}

func (l *loader) fault(f ...document.Fault) { l.faults = append(l.faults, f...) }

// told says that something is wrong with a value already, so that what follows from it is not said too.
func (l *loader) told(n *document.Node) bool {
	return slices.ContainsFunc(l.faults, func(f document.Fault) bool { return f.Position == n.At })
}

func (l *loader) warning(f document.Fault) {
	l.config.Warnings = append(l.config.Warnings, f)
}

// parse reads and binds every file. One that is not YAML leaves the others to be checked.
func (l *loader) parse(inputs []input) {
	var unset []document.Unset
	for _, in := range inputs {
		node, faults := document.Parse(in.name, in.text)
		if l.fault(faults...); node == nil {
			continue
		}
		missing, faults := node.Expand(document.Lookup{Env: l.options.Env, File: l.file})
		l.fault(faults...)
		for _, u := range missing {
			if !slices.ContainsFunc(unset, func(other document.Unset) bool { return other.Name == u.Name }) {
				unset = append(unset, u)
			}
		}
		f := &fileSettings{}
		l.fault(document.Bind(node, f, document.Options{})...)
		l.files, l.keys = append(l.files, f), append(l.keys, in.key)
	}
	if len(unset) > 0 && !l.options.AllowUnset {
		l.fault(unsetFault(unset))
	}
}

// file reads what ${file:…} names. Where names need no value, files need not be there.
func (l *loader) file(path string) ([]byte, error) {
	text, err := l.read(path)
	if err != nil && l.options.AllowUnset {
		return []byte("${file:" + path + "}"), nil
	}
	return text, err
}

// unsetFault names everything that is unset at once, because whoever sets one wants to set all.
func unsetFault(unset []document.Unset) document.Fault {
	f := unset[0].Fault
	names := make([]string, len(unset))
	for i, u := range unset {
		switch {
		case i == 0:
			names[i] = u.Name
		case u.Fault.File == f.File:
			names[i] = fmt.Sprintf("%s (line %d)", u.Name, u.Fault.Line)
		default:
			names[i] = fmt.Sprintf("%s (%s:%d)", u.Name, u.Fault.File, u.Fault.Line)
		}
	}
	f.Message = "not set in the environment: " + strings.Join(names, ", ")
	f.Remedy = "set it before the start; `surveygate test` does not need it"
	if len(names) > 1 {
		f.Remedy = "set them before the start; `surveygate test` does not need them"
	}
	return f
}
