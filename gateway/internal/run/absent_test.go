package run

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// A start with an empty file kills nothing of what waits: the next start with the whole file delivers it, and so does a
// reload that brings it back.
func TestStartWithAnEmptyFile(t *testing.T) {
	t.Parallel()
	for _, engine := range []config.Engine{config.EngineEmbedded, config.EngineRedis} {
		for name, restart := range map[string]bool{"restart": true, "reload": false} {
			t.Run(fmt.Sprint(engine, ", ", name), func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				if engine == config.EngineRedis {
					s.options.Redis = redistest.Start(t).URL()
				}
				s.writeText(fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks:
  - {name: hook, url: %q, secrets: ["${HOOK_SECRET}"]}
rules:
  - {name: low, when: nps_score <= 6, delay: 2s, send: [hook]}
`, s.hook))
				whole, err := os.ReadFile(s.options.Config)
				if err != nil {
					t.Fatal(err)
				}
				s.start()
				ids := []string{s.publish("a", 3), s.publish("b", 3)}
				waiting := func(reason string) func() bool {
					return func() bool {
						page, err := s.client.Deliveries(t.Context(), url.Values{"state": {"waiting"}})
						if err != nil || len(page.Data) != len(ids) {
							return false
						}
						for _, d := range page.Data {
							// Put off by the loop, and not only shown so.
							if d.Reason != reason || reason != "delay" && d.Due.Sub(d.Created.Time).Minutes() < 50 {
								return false
							}
						}
						return true
					}
				}
				s.until("they wait", waiting("delay"))
				if err := s.stop(); err != nil {
					t.Fatal(err)
				}
				s.writeText("\n")
				s.start()
				s.until("they miss their step", waiting("not configured now"))
				s.writeText(string(whole))
				if restart {
					if err := s.stop(); err != nil {
						t.Fatal(err)
					}
					s.start()
				}
				for _, id := range ids {
					s.delivered(id)
				}
			})
		}
	}
}

// What a failed tool or a slow share leaves of a file changes nothing: not the beginning of one, with faults or without, and
// not a file that is missing. The whole one is loaded when it is back.
func TestHalfAFile(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]struct {
		half func(whole string) string
		says string
	}{
		"beginning":             {func(whole string) string { return whole[:strings.Index(whole, "rules:")] }, "removes much"},
		"beginning with faults": {func(whole string) string { return whole[:strings.Index(whole, "when:")] }, "is refused"},
		"missing":               {nil, "is refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said := &lines{}
			s := newSite(t)
			s.options.Log = slog.New(slog.NewTextHandler(said, nil))
			s.options.unchangedFor = time.Hour
			s.start()
			whole, err := os.ReadFile(s.options.Config)
			if err != nil {
				t.Fatal(err)
			}
			if broken.half == nil {
				if err := os.Remove(s.options.Config); err != nil {
					t.Fatal(err)
				}
			} else {
				s.writeText(broken.half(string(whole)))
			}
			s.until("it is not used", func() bool { return strings.Contains(said.String(), broken.says) })
			if all := s.readyWarnings(); !strings.Contains(all, "the configuration that was changed is not in use") {
				t.Errorf("readiness warns %q", all)
			}
			s.delivered(s.publish("meanwhile", 3))
			s.writeText(string(whole))
			s.until("the whole file is loaded", func() bool { return strings.Contains(said.String(), "configuration loaded") })
			if all := s.readyWarnings(); strings.Contains(all, "not in use") {
				t.Errorf("readiness still warns %q", all)
			}
			s.delivered(s.publish("afterwards", 3))
		})
	}
}
