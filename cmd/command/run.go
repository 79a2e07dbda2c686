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
	var lostKeys []string
	var health bool
	cmd := &cobra.Command{
		Use: "run",
		Example: `  surveygate run
  surveygate run --config FOLDER --listen 0.0.0.0:8080
  surveygate run --redis redis://127.0.0.1:6379/0`,
		Short: "Run the gateway",
		Long: `Run the gateway until it is stopped. After SIGTERM, it is not ready, but accepts
requests for the configuration's drain time (5s). Then it closes the port, hands
over claimed events and exits with 0. A second SIGTERM or Ctrl-C skips the wait.
SIGHUP or a changed file reloads the configuration. A faulty configuration is
refused, and the current one stays in use; at the start, the exit code is 2.`,
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
				Config: g.config, Listen: listen, Data: g.data, Redis: redis, LostKeys: lostKeys, Log: log, Reload: reload, Leave: leave,
				Started: func(s gateway.Started) {
					tuneGC(s.Engine)
					g.started(s)
				},
				Token: g.newToken,
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
	cmd.Flags().StringSliceVar(&lostKeys, "lost-key", nil, "id of a key of the vault that is lost for good, such as k1: delete what was sealed with it")
	cmd.Flags().BoolVar(&health, "health", false, "for probes: do not run, but ask the gateway that uses --data whether it is ready")
	cmd.Flags().StringVar(&level, "log-level", env("SURVEYGATE_LOG_LEVEL", "info"), "debug, info, warn or error")
	return cmd
}

// tuneGC collects garbage less often with Redis, where the heap is small: it costs about 25 MiB at full load and saves a tenth of the
// CPU time. The embedded engine has a larger heap, because of its caches. GOGC overrides this.
func tuneGC(e config.Engine) {
	if e == config.EngineRedis && os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

// needConfig explains to new users what to do without a configuration.
func (g *globals) needConfig() error {
	if _, err := os.Stat(g.config); os.IsNotExist(err) {
		return &exit{exitUsage, fmt.Errorf("there is no configuration at %s: `surveygate init` writes one,\nand `surveygate demo` shows a working one and saves it", g.config)}
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

// readable writes durations as `5s`, like the text format. The JSON handler would write nanoseconds.
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
		g.printf("listening on http://%s, storing everything in Redis under %s:…, with the control socket in %s\n", s.Address, s.Prefix, s.Data)
	} else {
		g.printf("listening on http://%s, storing everything in %s\n", s.Address, s.Data)
	}
	if s.Console != "" {
		g.printf("the console is at http://%s/console/\n", s.Console)
	}
	for _, w := range s.Warnings {
		g.printf("WARNING: %s\n", w)
	}
	if s.Token != "" {
		g.printf("created a token for the API, shown only once: %s\n", s.Token)
	}
	for _, source := range s.Sources {
		g.printf("  %-12s %s\n", owned(source.Tenant, source.Name), source.Where())
	}
	if slices.ContainsFunc(s.Sources, func(source config.SourceURL) bool { return strings.HasSuffix(source.URL, "/"+connectors.Hidden) }) {
		g.printf("surveygate source list --show-secrets prints the path tokens\n")
	}
}

// newToken shows the token that is created when the store has lost the one of the first start.
func (g *globals) newToken(data, token string) {
	if !g.json {
		g.printf("the store was emptied: created another token for the API, shown only once: %s\n", token)
		return
	}
	line := tokenLine{Time: time.Now(), Level: slog.LevelWarn.String(), Message: "the store was emptied: created another token for the API"}
	path, err := writeToken(data, token)
	if line.TokenFile = path; err != nil {
		line.Level, line.Err = slog.LevelError.String(), err.Error()
	}
	g.encode(line)
}

// tokenLine is the line that run prints with --json when it creates another token.
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

// writeToken writes a token into the data folder; path is empty if that fails.
func writeToken(data, token string) (path string, err error) {
	path = filepath.Join(data, tokenFile)
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("cannot write the token of the first start: %w; the API is accessible over the socket only, until `tokens` are set", err)
	}
	return path, nil
}

// tokenFile is the file in the data folder that holds the token of the first start with --json, because logs would keep it.
const tokenFile = "first-token"

// startedJSON prints a line in the log's format, without the token of the first start.
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

// startedLine is the line that run prints with --json when it listens.
type startedLine struct {
	Time    time.Time `json:"time"`
	Level   string    `json:"level"`
	Message string    `json:"msg"`
	gateway.Started
	// TokenFile holds the token of the first start: read it, then delete the file.
	TokenFile string `json:"token_file,omitempty"`
}
