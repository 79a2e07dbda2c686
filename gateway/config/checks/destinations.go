package checks

// Codes of connections and webhooks.
const (
	UnusedConnection Code = "SG1301"
	DeafWebhook      Code = "SG1302"
	NoIncomplete     Code = "SG1303"
	UnsentPartial    Code = "SG1304"
	SecondSecret     Code = "SG1305"
	Uncut            Code = "SG1306"
	NotCompact       Code = "SG1307"
	RuleOfFiles      Code = "SG1308"
)

var ofDestinations = []Check{
	{
		Code: UnusedConnection, Title: "No rule uses a connection.",
		Why: "Nothing is sent to it: no rule names it, or only rules that are disabled. It is reported only if the files have rules for its tenant. Rules that are stored by API may use it: then ignore the warning. A connection with `enabled: false` is not reported.",
		Do:  "Name it in `send` of a rule, or remove it, and its credentials.",
		Example: hook + `connections:
  alerts: {slack: {webhook: "${SLACK_WEBHOOK}"}}
rules:
  - name: detractor
    when: nps_score <= 6
    send: [crm]
`,
		Mended: hook + `connections:
  alerts: {slack: {webhook: "${SLACK_WEBHOOK}"}}
rules:
  - name: detractor
    when: nps_score <= 6
    send: [crm, alerts]
`,
		FilesOnly: true,
	},
	{
		Code: DeafWebhook, Title: "A webhook receives nothing.",
		Why: "It has no `events`, and no rule names it.",
		Do:  "Add events: [response.completed], or name it in `send` of a rule.",
		Example: `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event}
`,
		Mended: `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event, events: [response.completed]}
`,
	},
	{
		Code: NoIncomplete, Title: "`incomplete_delay` has no effect.",
		Why: "It is the time after which a webhook tells of an unfinished response, and the webhook does not subscribe to unfinished responses.",
		Do:  "Add response.partial to `events`. If rules name the webhook, write `settle` and the time in the rule.",
		Example: `webhooks:
  - name: crm
    url: https://crm.example.com/in
    signature: none
    body: event
    events: [response.updated]
    send_incomplete: true
    incomplete_delay: 30m
`,
		Mended: `webhooks:
  - name: crm
    url: https://crm.example.com/in
    signature: none
    body: event
    events: [response.updated, response.partial]
    send_incomplete: true
    incomplete_delay: 30m
`,
	},
	{
		Code: UnsentPartial, Title: "A webhook subscribes to `response.partial` and does not send it.",
		Why: "Unfinished responses are sent only with `send_incomplete: true`.",
		Do:  "Add send_incomplete: true, or remove the event.",
		Example: `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event, events: [response.partial]}
`,
		Mended: `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, body: event, events: [response.partial], send_incomplete: true}
`,
	},
	{
		Code: SecondSecret, Title: "The second secret of a webhook is not used.",
		Why: "The header of this style of signature has room for one signature, which is made with the first secret.",
		Do:  "To rotate, let the receiver accept the old and the new secret, then replace the old one here.",
		Example: `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: github, secrets: ["${CRM_SECRET}", "${HOOK_SECRET}"], body: event, events: [response.completed]}
`,
		Mended: `webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: github, secrets: ["${CRM_SECRET}"], body: event, events: [response.completed]}
`,
	},
	{
		Code: Uncut, Title: "A webhook sends answers or leads although its settings forbid it.",
		Why: "The raw body of some platforms cannot be sent without its answers or leads.",
		Do:  "Write body: event, or name the sources in `when`.",
		Example: `sources:
  forms: {profile: jotform, unverified: true}
webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, send_answers: false, events: [response.completed]}
`,
		Mended: `sources:
  forms: {profile: jotform, unverified: true}
webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: none, send_answers: false, body: event, events: [response.completed]}
`,
	},
	{
		Code: NotCompact, Title: "Receivers may refuse raw bodies that are not compact JSON.",
		Why: "The sample code of PollQR verifies the parsed body, written as compact JSON again. It refuses a raw body with white space, which the platforms of these sources may send.",
		Do:  "Write body: event for such receivers. If a receiver verifies the bytes as they are, ignore the warning.",
		Example: `sources:
  popsee: {profile: popsee, secrets: ["${POPSEE_SECRET}"]}
webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: pollqr, secrets: ["${CRM_SECRET}"], events: [response.completed]}
`,
		Mended: `sources:
  popsee: {profile: popsee, secrets: ["${POPSEE_SECRET}"]}
webhooks:
  - {name: crm, url: "https://crm.example.com/in", signature: pollqr, secrets: ["${CRM_SECRET}"], body: event, events: [response.completed]}
`,
	},
	{
		Code: RuleOfFiles, Title: "A rule of the files cannot use a stored connection.",
		Why: "A rule for every tenant uses the tenant's own connection of the name that it writes. The step's settings do not fit the product of this one, so the step is left out for the tenant.",
		Do:  "Give the connection the name of another product's, or change the rule.",
		Example: `connections:
  crm: {hubspot: {token: "${HUBSPOT_TOKEN}"}}
rules:
  - {name: everybody, tenant: "*", send: [{crm: {properties: {nps: nps_score}}}]}
`,
		Document: &Document{"connection/crm", `{"slack": {"webhook": "https://hooks.slack.com/services/T/B/tenant"}}
`},
		Mended: `connections:
  crm: {hubspot: {token: "${HUBSPOT_TOKEN}"}}
rules:
  - {name: everybody, tenant: "*", send: [crm]}
`,
	},
}
