package gateway

import (
	"context"
	"log/slog"
	"os"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/run"
)

// Options configure Run.
type Options struct {
	// Config is a file, or a folder of files.
	Config string
	// Listen, Data and Redis override the settings of the file; an empty one does not. Redis is a URL and may hold a password.
	Listen string
	Data   string
	Redis  string
	// LostKeys are the ids of keys of the vault that are lost for good: what was sealed with them is deleted at the start.
	LostKeys []string
	// Env looks up ${NAME}; nil is the process's environment.
	Env func(name string) (string, bool)
	// Log receives the gateway's log; nil discards it.
	Log *slog.Logger
	// Reload receives a value when the configuration is to be read again; nil: it is not read again by a signal.
	Reload <-chan os.Signal
	// Leave receives when the gateway is to stop in a way that a balancer in front of it can follow: it is not ready from
	// then on, and stops once the configuration's `drain` has passed, or when the context ends. Nil: only the context stops it.
	Leave <-chan os.Signal
	// Started is called once, when everything listens.
	Started func(Started)
	// Token is called with a new token if the store was emptied while the gateway ran, and so lost the token of the first start.
	// data is the data folder.
	Token func(data, token string)
}

// Started describes a gateway that listens.
type Started struct {
	// Address is host:port of the HTTP surface, with the port that was taken.
	Address string `json:"address"`
	// Console is host:port of the console, where it has an address of its own.
	Console string `json:"console,omitempty"`
	Socket  string `json:"socket"`
	Data    string `json:"data"`
	// Engine is the storage engine: embedded, in the folder Data, or Redis, under keys that begin with Prefix.
	Engine config.Engine `json:"engine"`
	Prefix string        `json:"prefix,omitempty"`
	// Warnings are sentences about conditions that could lose data.
	Warnings []string `json:"warnings,omitempty"`
	// Token is the token made at the first start, to be shown once; empty at every later start.
	Token string `json:"-"`
	// Sources are the URLs that platforms send to, with [secret] for path tokens, because this is written to logs at every start.
	// offline.Check returns the path tokens, and so does client.Client.Sources with showSecrets.
	Sources []config.SourceURL `json:"sources"`
}

// Run runs a gateway until ctx ends: then it answers no new request, finishes the attempts that run, and returns. See
// Options.Leave for a stop that is announced.
func Run(ctx context.Context, o Options) error {
	r := run.Options{
		Config: o.Config, Listen: o.Listen, Data: o.Data, Redis: o.Redis, Env: o.Env, Log: o.Log, Reload: o.Reload, Leave: o.Leave,
		Token: o.Token, LostKeys: o.LostKeys, Version: Version(),
	}
	if o.Started != nil {
		r.Started = func(s run.Started) { o.Started(Started(s)) }
	}
	return run.Run(ctx, r)
}
