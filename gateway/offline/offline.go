// Package offline contains operations that need no running gateway:
//
//   - on a configuration: Check, Live, Test (tests of rules, and transcripts of events), Explain (an event from a file)
//   - on a request of a platform: TestSource, FieldsOf
//   - on a data folder: CheckStore, RepairStore
//   - samples of platforms and new secrets
package offline

import (
	"os"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/files"
)

// Options select a configuration.
type Options struct {
	// Config is a file, or a folder of files.
	Config string
	// Redis is a URL that overrides the file's; empty uses the file's.
	Redis string
	// Env looks up ${NAME}; nil is the process's environment.
	Env func(name string) (string, bool)
	// Version is the program's, for the User-Agent of Live.
	Version string
}

// load reads the configuration. With allowUnset, environment variables may be unset.
func (o Options) load(allowUnset bool) (*config.Config, error) { return o.read(allowUnset, nil) }

// read is load through a reader that remembers the files; nil remembers none.
func (o Options) read(allowUnset bool, from *files.Reader) (*config.Config, error) {
	env := o.Env
	if env == nil {
		env = os.LookupEnv //nolint:forbidigo // exported API: the process's environment is the default
	}
	return config.Load(config.Options{Path: o.Config, Env: env, AllowUnset: allowUnset, Redis: o.Redis, Files: from})
}
