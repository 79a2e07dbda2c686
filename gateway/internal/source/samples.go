package source

import "time"

// sample lists the parts of a platform's published body that identify one response and therefore must vary.
type sample struct {
	file   string           // "" is PLATFORM.json
	ids    []string         // each becomes an id of its own, in the same form
	times  map[string]moved // each becomes Variation.At, moved
	scores []string         // what ends in the score, a 9
	open   bool             // it is not of a response that was completed
}

type moved struct {
	by     time.Duration
	layout string // "" is Unix seconds
	form   bool   // written in a form
}

const (
	layoutMillis  = "2006-01-02T15:04:05.000Z"
	layoutMicros  = "2006-01-02T15:04:05.000000Z"
	layoutZ       = "2006-01-02T15:04:05Z"
	layoutOffset  = "2006-01-02T15:04:05+00:00"
	layoutOffsets = "2006-01-02T15:04:05.000000+00:00"
	layoutBare    = "2006-01-02T15:04:05"
	layoutSpace   = "2006-01-02 15:04:05"
)

// samples are the bodies that the platforms publish, compacted as they send them. If a platform does not publish the body of a
// completed response (ChatToSurvey, Delighted), the sample has the same structure.
var samples = map[string]sample{
	"asknicely": {
		ids:    []string{"345094"},
		times:  map[string]moved{"1774990116": {-9 * time.Second, "", false}, "1774990122": {-3 * time.Second, "", false}, "1774990125": {}},
		scores: []string{`"score":"9`},
	},
	"bluemicrodot": {
		ids:   []string{"8d6b3c1e-1111-4c55-9a3c-0f5a6c1d2e3f", "8d6b3c1e-2222-4c55-9a3c-0f5a6c1d2e3f"},
		times: map[string]moved{"2025-01-15T10:30:00.000Z": {layout: layoutMillis}, "2025-01-15T10:29:55.000Z": {-5 * time.Second, layoutMillis, false}},
	},
	"chattosurvey": {
		ids:    []string{"0b8e2f1e-6d3f-4f0e-9a53-1f0c4b7f2a01", "3f0a4a8e-4444-4e2b-9c39-0a6a0a3d2b11", "3f0a4a8e-5555-4e2b-9c39-0a6a0a3d2b11"},
		times:  map[string]moved{"2024-03-06T12:00:00Z": {layout: layoutZ}, "2024-03-06T12:04:10Z": {layout: layoutZ}},
		scores: []string{`"value":9`},
	},
	"click4survey": {
		ids:   []string{"DA453B67-791E-4D4D-9009-75B1ED8A33C1"},
		times: map[string]moved{"2022-08-21T10:30:00Z": {layout: layoutZ}},
	},
	"delighted": {
		ids:    []string{"b8d057c59327541d7ec2104c0a9a255ad1997fb00831b9c6bbf09561e6d5cbd0", "5435001"},
		times:  map[string]moved{"1732186844": {}},
		scores: []string{`"score":9`},
	},
	"feedbackspark": {
		ids:    []string{"24943"},
		times:  map[string]moved{"1719215254.837": {}, "1719215273": {}},
		scores: []string{`"answer":"9`},
	},
	"formbricks": {
		ids:    []string{"response_1"},
		times:  map[string]moved{"2025-07-24T07:47:29.507Z": {-41 * time.Second, layoutMillis, false}, "2025-07-24T07:48:56.116Z": {layout: layoutMillis}},
		scores: []string{`"nps_q":9`},
	},
	"googleforms": {
		ids:    []string{"2_ABaOnudExampleResponseId"},
		times:  map[string]moved{"2026-01-10T09:15:00.000Z": {layout: layoutMillis}},
		scores: []string{`"value":"9`},
	},
	"jotform": {
		file:   "jotform.txt",
		ids:    []string{"3859755280104305944", "1510165948969_70936128142151_FE1smSr"},
		scores: []string{`"q6_howLikely":"9`},
	},
	"kobotoolbox": {
		ids: []string{"faa38eee-4e3f-419e-bac0-e95f1085d998"},
		times: map[string]moved{
			"2020-04-06T11:11:47":           {layout: layoutBare},
			"2020-04-06T13:11:31.421+02:00": {-10 * time.Second, layoutMillis, false}, "2020-04-06T13:11:41.006+02:00": {layout: layoutMillis},
		},
	},
	"limesurvey": {
		ids:    []string{"424242"},
		times:  map[string]moved{"2024-12-04 15:30:00": {layout: layoutSpace}, "2024-12-04 15:28:00": {-2 * time.Minute, layoutSpace, false}},
		scores: []string{`"NPS":"9`},
	},
	"odk": {ids: []string{"3c142a0d-37b9-4d37-baf0-e58876428181"}},
	"pollarix": {
		ids:    []string{"resp_456"},
		times:  map[string]moved{"2024-01-15T10:30:00Z": {layout: layoutZ}},
		scores: []string{`"questionType":"rating","answer":9`},
	},
	"pollqr": {
		ids:    []string{"6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		times:  map[string]moved{"2024-01-01T12:00:00.000Z": {layout: layoutMillis}},
		scores: []string{`"1":9`, `"nps_score":9`},
	},
	"poltio": {
		ids: []string{"22ffdf18-1035-4e56-baa2-8327e3af5242"},
		times: map[string]moved{
			"2024-01-23T11:59:33.000000Z": {-26 * time.Second, layoutMicros, false},
			"2024-01-23T11:59:43.000000Z": {-16 * time.Second, layoutMicros, false},
			"2024-01-23T11:59:59.000000Z": {layout: layoutMicros},
			"1568624875":                  {},
		},
	},
	"popsee": {
		ids:    []string{"7c9e6679-7425-40de-944b-e07fc1f90ae7"},
		times:  map[string]moved{"2024-01-22T12:00:00.000Z": {layout: layoutMillis}},
		scores: []string{`"questionId":"q1","value":9`},
	},
	"productfruits": {ids: []string{"user-abc-123"}, scores: []string{`"answer":9`}}, // it has no id but the person's
	"qualtrics": {
		file:  "qualtrics.txt",
		ids:   []string{"R_1l9mcVuXubb4aGm"},
		times: map[string]moved{"2019-06-26%2013%3A28%3A11": {layout: layoutSpace, form: true}},
	},
	"questionpro": {ids: []string{"202881004"}, times: map[string]moved{"1769630453": {}}},
	"refiner": {
		ids:   []string{"cb47c260-ed64-11ea-8187-a7fc8351fba4"},
		times: map[string]moved{"2020-09-02 21:53:33": {layout: layoutSpace}},
	},
	"smartsurvey": {
		ids:   []string{"123456789"},
		times: map[string]moved{"2016-06-13T15:29:59Z": {-332 * time.Second, layoutZ, false}, "2016-06-13T15:35:31Z": {layout: layoutZ}},
	},
	"surveyjs": {
		ids:    []string{"9b2f6d3c-0c7b-4d0a-8f5e-52f0f4d7a111"},
		times:  map[string]moved{"2026-01-10T09:15:00.000Z": {layout: layoutMillis}},
		scores: []string{`"nps_score":9`},
	},
	"surveymonkey": {
		ids:   []string{"900000001", "5007154402"},
		times: map[string]moved{"2016-01-01T21:56:31.182613+00:00": {layout: layoutOffsets}},
	},
	"survicate": {
		ids:   []string{"c0101a21572ca643fd9f9ad40a5a4651", "3fa85f64-5717-4562-b3fc-2c963f66afa6"},
		times: map[string]moved{"2019-05-10T06:46:02+00:00": {layout: layoutOffset}},
		open:  true,
	},
	"tally": {
		ids:    []string{"a4cb511e-d513-4fa5-baee-b815d718dfd1", "response_2wgx4n"},
		times:  map[string]moved{"2023-06-28T15:00:21.889Z": {layout: layoutMillis}, "2023-06-28T15:00:21.000Z": {layout: layoutMillis}},
		scores: []string{`"type":"LINEAR_SCALE","value":9`},
	},
	"typeform": {
		ids:   []string{"LtWXD3crgy", "a3a12ec67a1365927098a606107fac15"},
		times: map[string]moved{"2018-01-18T18:07:02Z": {-10 * time.Minute, layoutZ, false}, "2018-01-18T18:17:02Z": {layout: layoutZ}},
	},
	"wufoo": {
		file:  "wufoo.txt",
		ids:   []string{"424242"},
		times: map[string]moved{"2026-05-21+11%3A08%3A01": {layout: layoutSpace, form: true}},
	},
}
