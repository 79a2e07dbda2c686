package webhook

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

// PresetName is the name of a preset; empty is none, which delivers as `standard` does.
type PresetName string

// Preset is how one platform delivers its webhooks.
type Preset struct {
	Signature connectors.Signature
	// Retry are the waits after the first attempt, and after each that follows.
	Retry []time.Duration
	// Timeout bounds one attempt.
	Timeout time.Duration
	// Only200 takes no other 2xx for a success.
	Only200 bool
}

// Presets are all presets. Each table is the platform's published behaviour; where it publishes no intervals,
// ours. The headers a platform sends are part of its signature's style.
var Presets = map[PresetName]Preset{
	"standard": {
		Signature: connectors.Signature{Style: "standard"}, Timeout: 15 * time.Second,
		Retry: []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
			10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		},
	},
	"pollqr": {
		Signature: connectors.Signature{Style: "pollqr"}, Timeout: 15 * time.Second,
		Retry: []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute},
	},
	"popsee": {
		Signature: connectors.Signature{Style: "popsee"}, Timeout: 5 * time.Second,
		Retry: []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute},
	},
	"chattosurvey": {
		Signature: connectors.Signature{Style: "chattosurvey"}, Timeout: 30 * time.Second, Only200: true,
		Retry: []time.Duration{10 * time.Second, 30 * time.Second, 2 * time.Minute, 10 * time.Minute, 30 * time.Minute},
	},
}

// PresetNames are the names in order, for messages and editors.
func PresetNames() []string {
	names := make([]string, 0, len(Presets))
	for _, name := range slices.Sorted(maps.Keys(Presets)) {
		names = append(names, string(name))
	}
	return names
}

// UnmarshalText takes the name of a preset.
func (p *PresetName) UnmarshalText(b []byte) error {
	if _, ok := Presets[PresetName(b)]; !ok {
		return fmt.Errorf("`%s` is no preset; one of %s", b, strings.Join(PresetNames(), ", "))
	}
	*p = PresetName(b)
	return nil
}

// A header's name is a token: https://www.rfc-editor.org/rfc/rfc9110#name-tokens
var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// framing are headers that would change where a request ends.
var framing = []string{"Transfer-Encoding", "Connection", "Trailer", "Te", "Upgrade", "Keep-Alive", "Expect"}

// signs says that a header, in its canonical form, is the signature's: webhook-id and webhook-timestamp go with
// every style, and the names that receivers of another style would look at are kept free of surprises.
func signs(style connectors.Signature, key string) bool {
	switch key {
	case "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
		return true
	case "X-Pollqr-Signature":
		return style.Style == "pollqr"
	case "X-Popsee-Signature":
		return style.Style == "popsee"
	case "X-Webhook-Event", "X-Webhook-Id", "X-Webhook-Timestamp", "User-Agent":
		return style.Style == "chattosurvey"
	case "X-Hub-Signature-256", "X-Github-Event", "X-Github-Delivery":
		return style.Style == "github"
	case "Stripe-Signature":
		return style.Style == "stripe"
	}
	return style.Style == "" && strings.EqualFold(style.Header, key)
}
