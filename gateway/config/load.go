package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/surveygate/surveygate/gateway/config/checks"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/files"
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// DefaultPath is the configuration's path when none is given.
const DefaultPath = "surveygate.yaml"

// ErrNone reports that there is no configuration.
var ErrNone = errors.New("no configuration")

var errRead = errors.New("read configuration")

// IsLoadError reports whether an error comes from Load: the configuration has faults, is missing or cannot be read.
func IsLoadError(err error) bool {
	_, faults := errors.AsType[document.Faults](err)
	return faults || errors.Is(err, ErrNone) || errors.Is(err, errRead)
}

// Options configure Load.
type Options struct {
	// Path is a file, or a folder whose *.yaml files are one configuration; empty is DefaultPath.
	Path string
	// Env looks up ${NAME}; nil is the process's environment.
	Env func(name string) (string, bool)
	// AllowUnset accepts ${NAME} without a value, because tests of rules need no secrets. Settings that depend on an unset
	// variable are not checked.
	AllowUnset bool
	// Listen, Data and Redis are flags. They override SURVEYGATE_LISTEN, SURVEYGATE_DATA and SURVEYGATE_REDIS, which
	// override the files.
	Listen, Data, Redis string
	// Now is the time of loading, at which accept_test starts; zero is now.
	Now time.Time
	// Files reads all files of the configuration and remembers which they were, even if Load fails; nil creates a new reader.
	Files *files.Reader
	// Lint also looks for what takes long, or needs all files: rules that repeat others, conditions that are never true, connections
	// that no rule uses, comments that ignore nothing. Only who shows warnings needs it.
	Lint bool

	texts bool // what LoadBundle does: no file is read but profiles
}

// input is one file as read. name is for faults; key does not depend on where the folder is.
type input struct {
	name, key string
	text      []byte
}

// Load reads a configuration. If the files have faults, the error is document.Faults and holds all of them. If there are no
// files, the error wraps ErrNone.
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

// LoadText reads a configuration from a text alone. All variables are unset, and it cannot refer to other files.
func LoadText(text []byte) (*Config, error) {
	return load(Options{AllowUnset: true, Env: func(string) (string, bool) { return "", false }},
		func(string) ([]byte, error) { return nil, fs.ErrNotExist }, []input{{DefaultPath, DefaultPath, text}})
}

// read reads a file, or all .yaml and .yml files of a folder, sorted by name.
func read(from *files.Reader, path string) ([]input, error) {
	inFolder, isFolder, err := from.Folder(path, isOurs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s does not exist; `surveygate init` writes one, and `surveygate demo` shows a working one and saves it", ErrNone, path)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errRead, err)
	case isFolder && len(inFolder) == 0:
		return nil, fmt.Errorf("%w: the folder %s contains no .yaml file", ErrNone, path)
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

// isOurs reports whether a file of a folder is part of the configuration. Names that begin with a dot belong to editors
// or Kubernetes.
func isOurs(name string) bool {
	ext := filepath.Ext(name)
	return !strings.HasPrefix(name, ".") && (ext == ".yaml" || ext == ".yml")
}

// load builds a configuration from its files and reports all faults at once.
func load(o Options, read func(path string) ([]byte, error), inputs []input) (*Config, error) {
	l := newLoader(o, read, &Config{Listen: DefaultListen, Drain: DefaultDrain, Data: DefaultData, Retention: defaultRetention(), Limits: defaultLimits()})
	l.parse(inputs)
	if o.texts && l.tooMany() {
		return nil, l.faults.Sorted()
	}
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
	l.checkConsole()
	l.streams()
	l.warn()
	if o.Lint {
		l.lint()
	}
	if len(l.faults) > 0 {
		return nil, l.faults.Sorted()
	}
	l.ignore()
	l.config.Warnings = l.config.Warnings.Sorted()
	l.spell()
	l.note(inputs)
	l.config.Kept = keep(l.config, l.digest())
	l.config.Generation = generationOf(l.config.Kept)
	l.config.index = &index{}
	return l.config, nil
}

// platforms are the built-in profiles with the event names of their platforms. All loads and overlays share them.
var platforms = sync.OnceValues(func() (*source.Library, map[string][]string) {
	library := source.Builtin()
	return library, library.Aliases()
})

func newLoader(o Options, read func(path string) ([]byte, error), c *Config) *loader {
	l := &loader{
		options: o, read: read, config: c, faulty: map[document.Position]bool{},
		single: map[string]*document.Node{}, profiles: map[string]*source.Profile{},
		destinations: map[target]*destination{}, sources: map[target]*document.Node{}, rules: map[string]map[string]*document.Node{},
	}
	l.library, l.aliases = platforms()
	l.work = maxWarningWork
	return l
}

// target is a name within a tenant.
type target struct{ tenant, name string }

// loader is the state of a load.
type loader struct {
	options Options
	read    func(path string) ([]byte, error) // reads secrets, profiles and all other files that the configuration refers to
	config  *Config
	faults  document.Faults
	faulty  map[document.Position]bool

	files   []*fileSettings
	keys    []string // of files, for the digest
	library *source.Library
	aliases map[string][]string

	single       map[string]*document.Node  // global settings, which only one file may set
	profiles     map[string]*source.Profile // from files
	profileTexts []input
	destinations map[target]*destination
	sources      map[target]*document.Node            // keys
	rules        map[string]map[string]*document.Node // names, by rule and tenant
	webhooks     []*destination
	written      []written           // what the files define
	lintings     []linting           // rules and subscriptions, for lint
	origins      map[string]*origins // by tenant; see originsOf

	// base is what the files define in the tenant whose stored documents are loaded; nil when files are loaded.
	base *names
	// work is what warnings about stored documents may still cost: comparisons times sources. Rules times comparisons of destinations
	// times sources would be too much for a tenant that has many of each.
	work int
}

// spend takes the cost of a warning. It returns false if the warning is to be left out.
func (l *loader) spend(cost int) bool {
	l.work -= cost
	return l.base == nil || l.work >= 0
}

func (l *loader) fault(all ...document.Fault) {
	l.faults = append(l.faults, all...)
	for _, f := range all {
		l.faulty[f.Position] = true
	}
}

// hasFault reports whether a value has a fault already, so that its consequences are not reported too.
func (l *loader) hasFault(n *document.Node) bool { return l.faulty[n.At] }

// bind binds a node to the settings of a connector or of an item. Of a stored document, few faults are enough.
func (l *loader) bind(n *document.Node, into any, options document.Options) {
	if l.base != nil {
		options.Most = maxFaults
	}
	l.fault(document.Bind(n, into, options)...)
}

func (l *loader) warning(code checks.Code, f document.Fault) {
	f.Code = string(code)
	l.config.Warnings = append(l.config.Warnings, f)
}

// parse reads and binds every file. If one is not YAML, the others are still checked.
func (l *loader) parse(inputs []input) {
	var unset []document.Unset
	for _, in := range inputs {
		node, faults := document.Parse(in.name, in.text)
		if l.fault(faults...); node == nil {
			continue
		}
		lookup := document.Lookup{Env: l.options.Env, File: l.file}
		if l.options.texts {
			lookup.File = nil
		}
		missing, faults := node.Expand(lookup)
		l.fault(faults...)
		for _, u := range missing {
			if l.options.AllowUnset {
				break
			}
			if !slices.ContainsFunc(unset, func(other document.Unset) bool { return other.Name == u.Name }) {
				unset = append(unset, u)
			}
		}
		f := &fileSettings{}
		l.bind(node, f, document.Options{})
		l.files, l.keys = append(l.files, f), append(l.keys, in.key)
	}
	if len(unset) > 0 && !l.options.AllowUnset {
		l.fault(unsetFault(unset))
	}
}

// file reads the file of a ${file:…}. With AllowUnset, it may be missing.
func (l *loader) file(path string) ([]byte, error) {
	text, err := l.read(path)
	if err != nil && l.options.AllowUnset {
		return []byte("${file:" + path + "}"), nil
	}
	return text, err
}

// unsetFault lists all unset variables in one fault, so that they can be set together.
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
	f.Remedy = "set it before starting; `surveygate test` does not need it"
	if len(names) > 1 {
		f.Remedy = "set them before starting; `surveygate test` does not need them"
	}
	return f
}
