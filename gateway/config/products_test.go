package config_test

import (
	"testing"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
)

// TestAProductsOwnLimits: what a product publishes stands where a connection says nothing.
func TestAProductsOwnLimits(t *testing.T) {
	t.Parallel()
	c := load(t, config.Options{}, `
connections:
  letters: {mailchimp: {api_key: 0123456789abcdef-us6, audience: a1b2c3d4e5}}
  slowly:  {mailchimp: {api_key: 0123456789abcdef-us6, audience: a1b2c3d4e5}, concurrency: 2, rate: 3/s}
  alarms:  {slack: {token: xoxb-1234-example, channel: "#nps"}}
`)
	for name, want := range map[string]struct {
		concurrency int
		rate        config.Rate
	}{
		"letters": {5, config.Rate{}},
		"slowly":  {2, config.Rate{Events: 3, Per: time.Second}},
		"alarms":  {config.DefaultConcurrency, config.Rate{Events: 1, Per: time.Second}},
	} {
		if d := destination(t, c, name); d.Concurrency != want.concurrency || d.Rate != want.rate {
			t.Errorf("%s: %d at once, %v; want %d, %v", name, d.Concurrency, d.Rate, want.concurrency, want.rate)
		}
	}
}
