package checks

// Codes of credentials, and of sources.
const (
	NoKey              Code = "SG1401"
	SharedToken        Code = "SG1402"
	CertificateExpires Code = "SG1403"
	Unproved           Code = "SG1501"
	UnusedSecrets      Code = "SG1502"
	AcceptsTests       Code = "SG1503"
	OtherResponses     Code = "SG1504"
)

var ofCredentials = []Check{
	{
		Code: NoKey, Title: "There is no key to seal fetched tokens in Redis.",
		Why: "The gateway does not start: it fetches access tokens for a connection, keeps them in Redis and has no key to seal them. The key may be set where the gateway runs.",
		Do:  "Set SURVEYGATE_KEY or key_file to the same key for all replicas. `surveygate secret --for key` makes one.",
		Example: `redis: redis://localhost:6379/0
connections:
  news: {constantcontact: {client_id: id, client_secret: the-secret, refresh_token: the-token, lists: [0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f], consent: assume}}
rules:
  - {name: newsletter, send: [news]}
`,
		Mended: `connections:
  news: {constantcontact: {client_id: id, client_secret: the-secret, refresh_token: the-token, lists: [0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f], consent: assume}}
rules:
  - {name: newsletter, send: [news]}
`,
		Changing: true,
	},
	{
		Code: SharedToken, Title: "Two connections have the same refresh token.",
		Why: "Each connection keeps the tokens that follow for itself. A product that replaces a refresh token accepts it once, so that one of the connections stops working.",
		Do:  "Obtain a refresh token for each connection, or use one connection in several steps.",
		Example: `connections:
  news: {constantcontact: {client_id: id, client_secret: the-secret, refresh_token: the-token, lists: [0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f], consent: assume}}
  fans: {constantcontact: {client_id: id, client_secret: the-secret, refresh_token: the-token, lists: [1a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f], consent: assume}}
rules:
  - {name: newsletter, send: [news, fans]}
`,
		Mended: `connections:
  news: {constantcontact: {client_id: id, client_secret: the-secret, refresh_token: the-token, lists: [0a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f], consent: assume}}
rules:
  - name: newsletter
    send:
      - news
      - {news: {lists: [1a1b2c3d-0a1b-2c3d-4e5f-0a1b2c3d4e5f]}, as: fans}
`,
	},
	{
		Code: CertificateExpires, Title: "A client certificate expires soon.",
		Why: "An expired certificate prevents start and reload.",
		Do:  "Replace the certificate before it expires.",
		Example: `webhooks:
  - name: crm
    url: https://crm.example.com/in
    signature: none
    body: event
    events: [response.completed]
    tls: {cert: expires-soon.pem, key: expires-soon.key}
`,
		Mended: `webhooks:
  - name: crm
    url: https://crm.example.com/in
    signature: none
    body: event
    events: [response.completed]
    tls: {cert: renewed.pem, key: renewed.key}
`,
		Changing: true,
	},
}

var ofSources = []Check{
	{
		Code: Unproved, Title: "Requests of a source could be verified, and are not.",
		Why: "Without secrets, anybody who knows the URL can send events.",
		Do:  "Set secrets, as the platform shows them.",
		Example: `sources:
  popsee: {profile: popsee, unverified: true}
`,
		Mended: `sources:
  popsee: {profile: popsee, secrets: ["${POPSEE_SECRET}"]}
`,
	},
	{
		Code: UnusedSecrets, Title: "The secrets of a source are not used.",
		Why: "Requests of the profile carry no proof, so that nothing is verified with them.",
		Do:  "Remove them, or describe in `verify` where the platform sends its token.",
		Example: `sources:
  poltio: {profile: poltio, path_token: "${POLTIO_TOKEN}", secrets: [unused]}
`,
		Mended: `sources:
  poltio: {profile: poltio, path_token: "${POLTIO_TOKEN}"}
`,
	},
	{
		Code: AcceptsTests, Title: "A source accepts requests without a proof for a while.",
		Why: "For the time of `accept_test` after each start and reload, anybody who knows the URL can send tests.",
		Do:  "Remove accept_test when the platform's test has passed.",
		Example: `sources:
  popsee: {profile: popsee, secrets: ["${POPSEE_SECRET}"], accept_test: 10m}
`,
		Mended: `sources:
  popsee: {profile: popsee, secrets: ["${POPSEE_SECRET}"]}
`,
	},
	{
		Code: OtherResponses, Title: "A profile has the survey's id in some types of events only.",
		Why: "A response is identified by the ids of the survey and the response. Events without a survey id count as events of other responses.",
		Do:  "Map survey.id for every type that has response.id, or for none.",
		Example: `sources:
  acme: {profile: ./acme.yaml, path_token: "${POLTIO_TOKEN}"}
-- acme.yaml --
source: acme
verify: [{kind: path}]
type: {path: event, map: {done: response.completed, changed: response.updated}, default: unknown}
dedupe: "{body:id}"
map: {response.id: id}
map_by_type: {response.completed: {survey.id: survey}}
`,
		Mended: `sources:
  acme: {profile: ./acme.yaml, path_token: "${POLTIO_TOKEN}"}
-- acme.yaml --
source: acme
verify: [{kind: path}]
type: {path: event, map: {done: response.completed, changed: response.updated}, default: unknown}
dedupe: "{body:id}"
map: {response.id: id, survey.id: survey}
`,
	},
}
