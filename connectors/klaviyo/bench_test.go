package klaviyo

import "testing"

func BenchmarkBuild(b *testing.B) {
	for name, config := range map[string]string{
		"klaviyo":           "list: Y6nRLr\nproperties: {last_nps: nps_score, last_feedback: \"{{ survey.title }}: {{ feedback }}\", last_group: nps_group}",
		"klaviyo.event":     "properties: {plan: params.plan, summary: \"{{ survey.title }}: {{ feedback }}\"}",
		"klaviyo.subscribe": "list: Y6nRLr",
	} {
		b.Run(name, func(b *testing.B) {
			c := bound(b, name, account+config)
			ev := parsed(b, `{"type":"response.completed","id":"ev-1","nps_score":9,"feedback":"Fast","email":"jo@example.com","name":"Jo Doe","phone":"+905550001122","consent":true,"survey":{"id":"s1","title":"Onboarding"},"params":{"plan":"pro"}}`)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Build(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
