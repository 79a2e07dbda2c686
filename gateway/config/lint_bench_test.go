package config_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
)

// BenchmarkLint loads 10,000 rules as `run` does, and as `check` does with everything that it warns of.
func BenchmarkLint(b *testing.B) {
	var text strings.Builder
	text.WriteString("sources:\n  shop: {profile: pollqr, secrets: [s]}\nwebhooks:\n  - {name: crm, url: \"https://crm.example.com/in\", signature: none, body: event}\nrules:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {name: r%d, when: 'nps_score <= %d and survey.id == \"%d\" and (has(email) or nps_group != \"promoter\")', send: [{crm: {headers: {X: \"%d\"}}}]}\n", i, i%9+1, i, i)
	}
	path := filepath.Join(b.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for _, lint := range []bool{false, true} {
		b.Run(map[bool]string{false: "run", true: "check"}[lint], func(b *testing.B) {
			for b.Loop() {
				if c, err := config.Load(config.Options{Path: path, Lint: lint}); err != nil || len(c.Warnings) > 0 {
					b.Fatal(err, c.Warnings)
				}
			}
		})
	}
}
