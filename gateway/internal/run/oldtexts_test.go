package run

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// What former versions kept of configurations, whole files with what stood in them in clear, is emptied at the next start.
// What this version keeps stays, and so does what a later one may have kept.
func TestOldTextsAreEmptied(t *testing.T) {
	t.Parallel()
	const secret = "9f3kQz7Lw2Xv8Bn4Rt6Yp1Ms5Dh0Jc"
	texts := map[string]struct {
		kept  string
		stays bool
	}{
		"former":  {kept: "-- 93 surveygate.yaml --\nconnections: {crm: {hubspot: {token: " + secret + "}}}\n"},
		"damaged": {kept: "surveygate: " + secret},
		"later":   {kept: "surveygate-rules/9 0a\ndefault {}\n", stays: true},
		"emptied": {kept: config.Emptied, stays: true},
	}
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if engine == config.EngineRedis {
				s.options.Redis = redistest.Start(t).URL()
			}
			g, err := open(t.Context(), s.options)
			if err != nil {
				t.Fatal(err)
			}
			own := g.plan.Load().Config.Generation
			versions := map[string]uint64{}
			for name, text := range texts {
				if versions[name], err = g.store.Put(t.Context(), systemTenant, kindGeneration, name, []byte(text.kept), 0); err != nil {
					t.Fatal(err)
				}
			}
			closeStarted(t, g)
			if engine == config.EngineEmbedded && !onDisk(t, s.options.Data, secret) {
				t.Error("the test's secret cannot be found in the store's files")
			}

			if g, err = open(t.Context(), s.options); err != nil {
				t.Fatal(err)
			}
			defer closeStarted(t, g)
			g.emptyOldTexts(t.Context())
			for name, text := range texts {
				kept, err := g.store.Get(t.Context(), systemTenant, kindGeneration, name)
				if err != nil {
					t.Fatal(err)
				}
				if text.stays != (kept.Version == versions[name]) || text.stays && string(kept.Value) != text.kept || !text.stays && string(kept.Value) != config.Emptied {
					t.Errorf("%s: kept %q", name, kept.Value)
				}
			}
			if _, err := g.generations.plan(t.Context(), config.DefaultTenant, "former"); !errors.Is(err, config.ErrUnreadable) {
				t.Errorf("an emptied configuration: %v", err)
			}
			mine, err := g.store.Get(t.Context(), systemTenant, kindGeneration, own)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := config.LoadKept(mine.Value, config.DefaultTenant); err != nil {
				t.Errorf("the running configuration: %v", err)
			}
			if engine == config.EngineEmbedded { // the store deletes files that it does not need any more in the background
				s.until("the secret is in none of the store's files", func() bool { return !onDisk(t, s.options.Data, secret) })
			}
		})
	}
}

// A start does it by itself.
func TestStartEmptiesOldTexts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	g, err := open(t.Context(), s.options)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.store.Put(t.Context(), systemTenant, kindGeneration, "former", []byte("-- 1 surveygate.yaml --\n"), 0); err != nil {
		t.Fatal(err)
	}
	closeStarted(t, g)
	said := &lines{}
	s.options.Log = slog.New(slog.NewTextHandler(said, nil))
	s.start()
	s.until("the text is emptied", func() bool { return strings.Contains(said.String(), "count=1") })
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
}

// closeStarted closes a gateway that was opened and never served.
func closeStarted(t *testing.T, g *gateway) {
	t.Helper()
	if err := g.life.stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// onDisk tells whether a text stands in any file of a folder.
func onDisk(t *testing.T, dir, text string) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = found || bytes.Contains(b, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
