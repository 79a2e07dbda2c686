package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	_ "github.com/surveygate/surveygate/connectors/hubspot"
	"github.com/surveygate/surveygate/gateway/config"
)

// What is not said of batches is the product's: as many as it takes, and a wait that nobody notices.
func TestBatchDefaults(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Batch{
		"":                            {Max: 100, Wait: 100 * time.Millisecond},
		", batch: {max: 7}":           {Max: 7, Wait: 100 * time.Millisecond},
		", batch: {wait: 2s}":         {Max: 100, Wait: 2 * time.Second},
		", batch: {wait: 0s}":         {Max: 100},
		", batch: {max: 1, wait: 0s}": {Max: 1},
	} {
		path := filepath.Join(t.TempDir(), "surveygate.yaml")
		if err := os.WriteFile(path, []byte("connections: {crm: {hubspot: {token: x}"+text+"}}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(config.Options{Path: path})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := c.Destinations[0].Batch; got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}
