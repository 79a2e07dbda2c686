// Package offline looks at a configuration, a body or a data folder while no gateway runs there: check, check --live, the
// tests of rules, what a configuration would do with an event, what a profile makes of a request, samples and secrets.
package offline

import (
	"os"

	"github.com/surveygate/surveygate/gateway/config"
)

// Options say what to look at.
type Options struct {
	// Config is a file, or a folder of files.
	Config string
	// Redis is a URL that wins over the file's; empty leaves it to the file.
	Redis string
	// Env looks up ${NAME}; nil is the process's environment.
	Env func(name string) (string, bool)
	// Version is the program's, for the User-Agent of Live.
	Version string
}

// load reads the configuration. allowUnset: variables of the environment need not be set.
func (o Options) load(allowUnset bool) (*config.Config, error) {
	env := o.Env
	if env == nil {
		env = os.LookupEnv //nolint:forbidigo // a public door: where the process's environment comes in by default
	}
	return config.Load(config.Options{Path: o.Config, Env: env, AllowUnset: allowUnset, Redis: o.Redis})
}
