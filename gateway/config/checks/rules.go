package checks

var ofRules = []Check{
	{
		Code: RepeatedRule, Title: "A rule repeats an earlier one.",
		Why: "Each event is sent twice. The rules have the same tenant, events, times and limits; their conditions differ in spelling at most (the order of operands, short names, `not` in front of a comparison); and every step of the later rule is a step of an earlier one, with the same settings.",
		Do:  "Remove one of them, or change what was meant to be different.",
		Example: hook + `rules:
  - name: detractor
    when: nps_score <= 6 and has(email)
    send: [crm]
  - name: unhappy
    when: has(respondent.email) and response.score.nps <= 6
    send: [crm]
`,
		Mended: hook + `rules:
  - name: detractor
    when: nps_score <= 6 and has(email)
    send: [crm]
`,
		FilesOnly: true,
	},
	{
		Code: NoConsent, Title: "A step skips every event, because no source sends a consent.",
		Why: "A mailing list with `consent: required` skips respondents who have not consented, and no source of the rule says who has.",
		Do:  "Name the question that asks for consent, on the source: roles: {QUESTION: consent}. If consent is given elsewhere, write consent: assume.",
		Example: `sources:
  shop: {profile: pollqr, secrets: ["${POLLQR_SECRET}"]}
connections:
  news: {mailchimp: {api_key: "${MAILCHIMP_KEY}", audience: a1b2c3d4e5}}
rules:
  - name: newsletter
    send: [news]
`,
		Mended: `sources:
  shop: {profile: pollqr, secrets: ["${POLLQR_SECRET}"], roles: {"7": consent}}
connections:
  news: {mailchimp: {api_key: "${MAILCHIMP_KEY}", audience: a1b2c3d4e5}}
rules:
  - name: newsletter
    send: [news]
`,
	},
	{
		Code: NoChange, Title: "A step with `amend` is told of no change.",
		Why: "Without events of changes, what was sent is never changed.",
		Do:  "Add the events: events: [response.completed, response.updated].",
		Example: `connections:
  alerts: {slack: {token: "${SLACK_TOKEN}", channel: "#nps"}}
rules:
  - name: detractor
    when: nps_score <= 6
    send:
      - {alerts: {text: "NPS {{ nps_score }}"}, amend: true}
`,
		Mended: `connections:
  alerts: {slack: {token: "${SLACK_TOKEN}", channel: "#nps"}}
rules:
  - name: detractor
    events: [response.completed, response.updated]
    when: nps_score <= 6
    send:
      - {alerts: {text: "NPS {{ nps_score }}"}, amend: true}
`,
	},
}
