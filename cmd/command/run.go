package command

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway"
	"github.com/surveygate/surveygate/gateway/config"
)

func (g *globals) run() *cobra.Command {
	var listen, level, redis string
	var health bool
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the gateway",
		Long: `Run the gateway until it is told to stop. SIGTERM makes it not ready, then it
accepts requests for the configuration's drain (5s), closes the port, hands
over what is held and exits with 0; a second SIGTERM or Ctrl-C skips the wait.
SIGHUP, or a changed file, reloads; a file with faults is refused and the
running configuration stays.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if health {
				return g.health(cmd.Context())
			}
			if err := g.needConfig(); err != nil {
				return err
			}
			log, err := g.logger(level)
			if err != nil {
				return err
			}
			reload := make(chan os.Signal, 1)
			signal.Notify(reload, syscall.SIGHUP)
			defer signal.Stop(reload)
			umask()
			ctx, leave, stop := leaving(cmd.Context())
			defer stop()
			err = gateway.Run(ctx, gateway.Options{
				Config: g.config, Listen: listen, Data: g.data, Redis: redis, Log: log, Reload: reload, Leave: leave,
				Started: func(s gateway.Started) {
					thrifty(s.Engine)
					g.started(s)
				},
				Token: g.madeAnew,
			})
			switch {
			case err == nil:
				return nil
			case config.IsLoadError(err):
				return &exit{exitUsage, err}
			}
			return &exit{exitFailed, err}
		},
	}
	cmd.Flags().StringVar(&listen, "listen", environ("SURVEYGATE_LISTEN"), "host:port (default "+config.DefaultListen+")")
	redisFlag(cmd, &redis)
	cmd.Flags().BoolVar(&health, "health", false, "run nothing: ask the gateway that runs in --data whether it is ready, for probes")
	cmd.Flags().StringVar(&level, "log-level", env("SURVEYGATE_LOG_LEVEL", "info"), "debug, info, warn or error")
	return cmd
}

// thrifty has the heap collected more rarely where it is small: with Redis that costs some 25 MiB at full load and saves a
// tenth of the processor's time. The embedded engine's caches make a heap of another size. GOGC says otherwise.
func thrifty(e config.Engine) {
	if e == config.EngineRedis && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// needConfig is the first thing a newcomer meets: no file yet.
func (g *globals) needConfig() error {
	if _, err := os.Stat(g.config); os.IsNotExist(err) {
		return &exit{exitUsage, fmt.Errorf("there is no configuration at %s: `surveygate demo` shows a working one and saves it", g.config)}
	}
	return nil
}

func (g *globals) logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, &exit{exitUsage, fmt.Errorf("--log-level %s: debug, info, warn or error", level)}
	}
	o := &slog.HandlerOptions{Level: l}
	if g.json {
		o.ReplaceAttr = readable
		return slog.New(slog.NewJSONHandler(g.err, o)), nil
	}
	return slog.New(slog.NewTextHandler(g.err, o)), nil
}

// readable writes a duration of a line as `5s`, as the other format does: JSON would have its nanoseconds.
func readable(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindDuration {
		return slog.String(a.Key, a.Value.Duration().String())
	}
	return a
}

func (g *globals) started(s gateway.Started) {
	if g.json {
		g.startedJSON(s)
		return
	}
	if s.Engine == config.EngineRedis {
		g.printf("listening on http://%s, keeping everything in Redis under %s:…, the control socket in %s\n", s.Address, s.Prefix, s.Data)
	} else {
		g.printf("listening on http://%s, keeping everything in %s\n", s.Address, s.Data)
	}
	for _, w := range s.Warnings {
		g.printf("WARNING: %s\n", w)
	}
	if s.Token != "" {
		g.printf("made a token for the API, shown only now: %s\n", s.Token)
	}
	for _, source := range s.Sources {
		g.printf("  %-12s %s\n", owned(source.Tenant, source.Name), source.Where())
	}
	if slices.ContainsFunc(s.Sources, func(source config.SourceURL) bool { return strings.HasSuffix(source.URL, "/"+connectors.Hidden) }) {
		g.printf("surveygate source list --show-secrets prints their tokens\n")
	}
}

// madeAnew shows the token that is made where the store lost the one of the first start.
func (g *globals) madeAnew(data, token string) {
	if !g.json {
		g.printf("the store was emptied: made another token for the API, shown only now: %s\n", token)
		return
	}
	line := tokenLine{Time: time.Now(), Level: slog.LevelWarn.String(), Message: "the store was emptied: made another token for the API"}
	path, err := writeToken(data, token)
	if line.TokenFile = path; err != nil {
		line.Level, line.Err = slog.LevelError.String(), err.Error()
	}
	g.encode(line)
}

// tokenLine is what run prints with --json where it made another token.
type tokenLine struct {
	Time      time.Time `json:"time"`
	Level     string    `json:"level"`
	Message   string    `json:"msg"`
	TokenFile string    `json:"token_file,omitempty"`
	Err       string    `json:"err,omitempty"`
}

// encode prints a line of JSON.
func (g *globals) encode(line any) {
	enc := json.NewEncoder(g.out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(line)
}

// writeToken writes a token into the data folder; path is empty where that fails.
func writeToken(data, token string) (path string, err error) {
	path = filepath.Join(data, tokenFile)
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("the first start's token cannot be written: %w; the API is open over the socket only, until `tokens` are set", err)
	}
	return path, nil
}

// tokenFile holds the token of the first start in the data folder, where its output is for machines: logs keep what they
// are given.
const tokenFile = "first-token"

// startedJSON prints a line of the log's shape. The token of the first start is left out of it.
func (g *globals) startedJSON(s gateway.Started) {
	line := startedLine{Time: time.Now(), Level: slog.LevelInfo.String(), Message: "listening", Started: s}
	if s.Token != "" {
		path, err := writeToken(s.Data, s.Token)
		if line.TokenFile = path; err != nil {
			line.Warnings = append(line.Warnings, err.Error())
		}
	}
	g.encode(line)
}

// startedLine is what run prints with --json once it listens.
type startedLine struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"msg"`
	gateway.Started
	// TokenFile holds the token of the first start: read it, and take it away.
	TokenFile string `json:"token_file,omitempty"`
}
