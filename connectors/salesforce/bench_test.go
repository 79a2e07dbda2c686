package salesforce

import "testing"

// BenchmarkBuildBatch builds a batch of 200 events; divide by 200 for the cost of one event.
func BenchmarkBuildBatch(b *testing.B) {
	c := bound(b, "salesforce", "key: SG_Key__c\nfields: {NPS__c: nps_score, Comment__c: \"{{ survey.title }}: {{ feedback }}\", Group__c: nps_group}").(*Connector)
	events := batch(b, maxBatch)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.BuildBatch(events); err != nil {
			b.Fatal(err)
		}
	}
}
