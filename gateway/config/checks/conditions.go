package checks

// Codes of the configuration as a whole, and of conditions.
const (
	Empty        Code = "SG1001"
	Superfluous  Code = "SG1002"
	UnknownCode  Code = "SG1003"
	NeverTrue    Code = "SG1101"
	AlwaysTrue   Code = "SG1102"
	NeverWord    Code = "SG1103"
	OutOfRange   Code = "SG1104"
	OfWhole      Code = "SG1105"
	NobodyFills  Code = "SG1106"
	RepeatedRule Code = "SG1201"
	NoConsent    Code = "SG1202"
	NoChange     Code = "SG1203"
)

// hook is the webhook of most examples.
const hook = `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event}
`

var ofConfigurations = []Check{
	{
		Code: Empty, Title: "The configuration is empty.",
		Why: "The gateway starts, but no platform can send to it and it delivers nothing. Often the path of the file is not the one that was meant.",
		Do:  "Check --config. `surveygate init` writes a first one, and `surveygate demo` shows one working.",
		Example: `listen: 127.0.0.1:8080
`,
		Mended: `listen: 127.0.0.1:8080
webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event, events: [response.completed]}
`,
		Changing: true,
	},
	{
		Code: Superfluous, Title: "A comment ignores a warning that is not reported.",
		Why: "A comment that ignores nothing stays when the reason for it is gone, and hides the warning when it comes back. It has an effect on its own line, on the line below it, or, if it stands directly above a rule, connection, webhook or source, on all of that.",
		Do:  "Remove the code from the comment, or move the comment to where the warning is.",
		Example: hook + `rules:
  # surveygate: ignore SG1101
  - name: detractor
    when: nps_score <= 6
    send: [crm]
`,
		Mended: hook + `rules:
  - name: detractor
    when: nps_score <= 6
    send: [crm]
`,
		FilesOnly: true,
	},
	{
		Code: UnknownCode, Title: "A comment ignores a code that does not exist.",
		Why: "The comment has no effect.",
		Do:  "Write the code that the warning shows in brackets.",
		Example: hook + `rules:
  # surveygate: ignore SG9999
  - name: detractor
    when: nps_score <= 6
    send: [crm]
`,
		Mended: hook + `rules:
  - name: detractor
    when: nps_score <= 6
    send: [crm]
`,
	},
}

var ofConditions = []Check{
	{
		Code: NeverTrue, Title: "A condition, or a part of it, is never true.",
		Why: "What belongs to the condition is never sent. Found are constants, values that exclude each other (numbers, texts, groups of the NPS, true and false), and has() beside its opposite. What is reported is certain; not every such condition is found.",
		Do:  "Correct the condition: often `and` should be `or`, or one of two limits is on the wrong side.",
		Example: hook + `rules:
  - name: extremes
    when: nps_score > 8 and nps_score < 3
    send: [crm]
`,
		Mended: hook + `rules:
  - name: extremes
    when: nps_score > 8 or nps_score < 3
    send: [crm]
`,
	},
	{
		Code: AlwaysTrue, Title: "A condition is true for every event.",
		Why: "The condition selects nothing, although it looks as if it did.",
		Do:  "Remove `when`, or correct it.",
		Example: hook + `rules:
  - name: everybody
    when: has(email) or not has(email)
    send: [crm]
`,
		Mended: hook + `rules:
  - name: everybody
    send: [crm]
`,
	},
	{
		Code: NeverWord, Title: "A name is compared with a word that it never is.",
		Why: "The comparison has the same result for every event. It is checked for names with a known set of words: nps_group, response.status, type, source, tenant, and fields that all sources of the rule fill with constants. Files do not know the sources and tenants that are stored by API: source is checked if the rule's tenant has sources in files, and tenant in rules of one tenant.",
		Do:  "Correct the word; the nearest one is named.",
		Example: hook + `rules:
  - name: detractor
    when: nps_group == "Detractor"
    send: [crm]
`,
		Mended: hook + `rules:
  - name: detractor
    when: nps_group == "detractor"
    send: [crm]
`,
	},
	{
		Code: OutOfRange, Title: "A score is compared with a number outside of its range.",
		Why: "The comparison has the same result for every event that has the field. The NPS is 0 to 10, and response.duration_s is not negative: other values are removed when an event is received. CSAT and CES have the scale of the survey, which may have any numbers, so they are not checked.",
		Do:  "Correct the number. To ask whether there is a score, write has(nps_score).",
		Example: hook + `rules:
  - name: scored
    when: nps_score >= 0
    send: [crm]
`,
		Mended: hook + `rules:
  - name: scored
    when: has(nps_score)
    send: [crm]
`,
	},
	{
		Code: OfWhole, Title: "A condition asks each event for what is known of a response as a whole.",
		Why: "response.status, response.version and the like are absent in single events, so the condition is unknown and the rule does not match.",
		Do:  "Add `settle` and a time: the condition is then asked of the response.",
		Example: hook + `rules:
  - name: unfinished
    events: [response.partial]
    when: response.status == "partial"
    send: [crm]
`,
		Mended: hook + `rules:
  - name: unfinished
    events: [response.partial]
    settle: 2m
    when: response.status == "partial"
    send: [crm]
`,
	},
	{
		Code: NobodyFills, Title: "A condition or a hole needs a field that no source of the rule fills.",
		Why: "The condition is unknown because of the field, or the hole is always empty. It is reported only if the rule's tenants have sources, each with a profile of a platform, and no source takes events in surveygate's own format, and no token of the files may publish what the rule gets, make other tokens or store sources. It assumes that nobody publishes by other means, such as a token that was made by API or `surveygate emit`. Fields in has() and with an alternative by `??` are not reported.",
		Do:  "Say which question holds it, on the source: roles: {QUESTION: feedback}. Or read it from the body: raw(\"path\"). `surveygate fields SOURCE body.json` shows what a source fills.",
		Example: `sources:
  shop: {profile: pollqr, secrets: ["${POLLQR_SECRET}"]}
` + hook + `rules:
  - name: refunds
    when: feedback contains "refund"
    send: [crm]
`,
		Mended: `sources:
  shop: {profile: pollqr, secrets: ["${POLLQR_SECRET}"], roles: {"2": feedback}}
` + hook + `rules:
  - name: refunds
    when: feedback contains "refund"
    send: [crm]
`,
		FilesOnly: true,
	},
}
