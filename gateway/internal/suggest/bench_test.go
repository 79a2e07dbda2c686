package suggest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
)

// BenchmarkSuggest looks at 5,000 events of a source with twelve questions, and at 100 rules of which 50 match nothing.
func BenchmarkSuggest(b *testing.B) {
	var rules strings.Builder
	for i := range 50 {
		fmt.Fprintf(&rules, "  - {name: m%d, when: \"answer('q_csat') >= %d\", send: [alarms]}\n  - {name: s%d, when: \"nps_score <= %d and email != '' or params.plan == 'pro'\", send: [alarms]}\n", i, i%5+1, i, i)
	}
	r := newRig(b, forms+"connections: {alarms: {slack: {webhook: \"https://hooks.slack.com/services/T/B/X\"}}}\nrules:\n"+rules.String())
	r.came("f1", maxEvents, everything)
	plan := decide.New(r.config)
	for _, quiet := range []bool{true, false} {
		b.Run(fmt.Sprint("quiet=", quiet), func(b *testing.B) {
			s := &Suggester{Store: r.store, Plan: func() *decide.Plan { return plan }, Clock: clock.System(), Quiet: func() bool { return quiet }}
			b.ReportAllocs()
			for b.Loop() {
				got, err := s.Suggest(context.Background(), Ask{Tenant: "default"})
				if err != nil || len(got.Sources[0].Roles) != 7 || quiet && len(got.Rules) != 50 {
					b.Fatalf("%v, %d roles, %d rules", err, len(got.Sources[0].Roles), len(got.Rules))
				}
				b.ReportMetric(float64(got.Events), "events")
				if len(got.Rules) > 0 {
					b.ReportMetric(float64(got.Rules[0].Explained), "explained")
				}
			}
		})
	}
}
