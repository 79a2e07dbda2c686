package config

import (
	"crypto/sha256"
	"encoding/hex"
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
	"github.com/surveygate/surveygate/gateway/internal/source"
)

// DefaultPath is the configuration where no other is named.
const DefaultPath = "surveygate.yaml"

// ErrNone says that there is no configuration at all.
var ErrNone = errors.New("no configuration")

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
	// ReadFile reads what ${file:…} and profile files name; nil is os.ReadFile.
	ReadFile func(path string) ([]byte, error)
}

// input is one file as it was read. Name is for faults, key for the text that is kept.
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
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.Now.IsZero() {
		o.Now = clock.System().Now()
	}
	inputs, err := read(o.Path)
	if err != nil {
		return nil, err
	}
	return load(o, inputs)
}

// LoadText reads a configuration from Config.Text, as it was kept: its secrets are names without a value.
func LoadText(text []byte) (*Config, error) {
	files := map[string][]byte{}
	var inputs []input
	for _, in := range unpack(text) {
		if files[in.key] = in.text; !strings.HasPrefix(in.key, profilePrefix) {
			inputs = append(inputs, in)
		}
	}
	return load(Options{
		AllowUnset: true,
		Env:        func(string) (string, bool) { return "", false },
		ReadFile: func(path string) ([]byte, error) {
			if text, ok := files[profilePrefix+path]; ok {
				return text, nil
			}
			return nil, fs.ErrNotExist
		},
	}, inputs)
}

// read reads a file, or every .yaml of a folder.
func read(path string) ([]input, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is not there; `surveygate demo` shows one working and writes it down", ErrNone, path)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	names := []string{path}
	if info.IsDir() {
		if names, err = filesOf(path); err != nil {
			return nil, err
		}
	}
	inputs := make([]input, 0, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		inputs = append(inputs, input{name, filepath.Base(name), text})
	}
	return inputs, nil
}

// filesOf are the .yaml and .yml files of a folder, in the order of their names. Those that begin with a dot are
// an editor's or Kubernetes' own.
func filesOf(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	var names []string
	for _, entry := range entries {
		name := entry.Name()
		if ext := filepath.Ext(name); strings.HasPrefix(name, ".") || (ext != ".yaml" && ext != ".yml") {
			continue
		}
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() { // follows links, as those of mounted secrets
			names = append(names, path)
		}
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%w: the folder %s holds no .yaml file", ErrNone, folder)
	}
	return names, nil
}

// load builds a configuration from its files and says everything that is wrong with them at once.
func load(o Options, inputs []input) (*Config, error) {
	l := &loader{
		options: o, library: source.Builtin(),
		single: map[string]*document.Node{}, profiles: map[string]*source.Profile{},
		destinations: map[target]*destination{}, sources: map[target]*document.Node{}, rules: map[string]map[string]*document.Node{},
		config: &Config{Listen: DefaultListen, Data: DefaultData, Retention: defaultRetention()},
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
	l.config.Text = pack(l.texts())
	sum := sha256.Sum256(l.config.Text)
	l.config.Generation = hex.EncodeToString(sum[:8])
	return l.config, nil
}

// target is a name within a tenant.
type target struct{ tenant, name string }

// loader holds what is known while a configuration is built.
type loader struct {
	options Options
	config  *Config
	faults  document.Faults

	files   []*fileSettings
	keys    []string // of files, as in the text that is kept
	library *source.Library
	aliases map[string][]string

	single       map[string]*document.Node  // settings that one file may say
	profiles     map[string]*source.Profile // from files
	profileTexts []input
	destinations map[target]*destination
	sources      map[target]*document.Node            // keys
	rules        map[string]map[string]*document.Node // names, by rule and tenant
	webhooks     []*destination
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
	text, err := l.options.ReadFile(path)
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

// profilePrefix marks profile files in the text that is kept.
const profilePrefix = "profile:"

// texts are the files as written, with ${HIDDEN} for secrets that stand in them as plain text.
func (l *loader) texts() []input {
	texts := make([]input, 0, len(l.files)+len(l.profileTexts))
	for i, f := range l.files {
		texts = append(texts, input{key: l.keys[i], text: f.Node.Redacted()})
	}
	return append(texts, l.profileTexts...)
}

// pack writes files one after the other: `-- name --`, then as many bytes as it says.
func pack(inputs []input) []byte {
	var b []byte
	for _, in := range inputs {
		b = fmt.Appendf(b, "-- %d %s --\n", len(in.text), in.key)
		b = append(append(b, in.text...), '\n')
	}
	return b
}

// unpack is the inverse of pack. What is not packed is one file.
func unpack(text []byte) []input {
	var inputs []input
	for rest := text; len(rest) > 0; {
		head, body, ok := strings.Cut(string(rest), "\n")
		var length int
		if _, err := fmt.Sscanf(head, "-- %d ", &length); !ok || err != nil || length < 0 || length >= len(body) {
			return []input{{DefaultPath, DefaultPath, text}}
		}
		_, key, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(head, "-- "), " --"), " ")
		inputs = append(inputs, input{key, key, []byte(body[:length])})
		rest = []byte(body[length+1:])
	}
	return inputs
}
