package openapi

import (
	"regexp"
	"strings"
)

// Example is one request of the API's page, which a test makes, and its answer where the page shows all of it.
type Example struct {
	Command string
	// Body and Answer are nil where they are no JSON object, or not shown whole.
	Body, Answer *Object
}

var (
	blocks    = regexp.MustCompile("(?s)```(sh|text)\n(.*?)```")
	commands  = regexp.MustCompile(`(?m)^curl (?:[^\n]*\\\n)*[^\n]*`)
	addresses = regexp.MustCompile(`https?://127\.0\.0\.1:\d+(/[^ "'?\n]*)`)
	methods   = regexp.MustCompile(`-X ([A-Z]+)`)
	bodies    = regexp.MustCompile(`(?s)-d '([^']*)'`)
)

// alone makes a command one that can be read without the rest of the page: it names the token in place of a file with the header.
var alone = strings.NewReplacer("-H @acme.header", `-H "Authorization: Bearer $TOKEN"`, " | tee acme.json", "")

// examplesOf returns the requests of a page by operation, as `GET /v1/events/{id}`, without those that are refused there.
func examplesOf(page []byte, paths Paths) map[string][]Example {
	all := map[string][]Example{}
	last := ""   // the operation of the one command of the block above
	newest := "" // the operation of its last command, whose answer stands below it
	for _, block := range blocks.FindAllStringSubmatch(string(page), -1) {
		if block[1] == "text" {
			if n := len(all[newest]); strings.HasPrefix(block[2], `{"status":4`) && n > 0 {
				all[newest] = all[newest][:n-1]
				last = ""
			}
			newest = ""
			if n := len(all[last]); last != "" && n > 0 && !strings.Contains(block[2], `"…"`) { // a value left out
				if answer, err := Parse([]byte(strings.ReplaceAll(block[2], "\n", ""))); err == nil {
					all[last][n-1].Answer = answer
				}
			}
			last = ""
			continue
		}
		newest = ""
		found := commands.FindAllString(block[2], -1)
		for _, command := range found {
			address := addresses.FindStringSubmatch(command)
			if address == nil {
				continue
			}
			path := paths.Of(address[1])
			if path == "" {
				continue
			}
			e := Example{Command: alone.Replace(strings.TrimSpace(command))}
			method := "GET"
			if match := bodies.FindStringSubmatch(command); match != nil {
				method = "POST"
				if body, err := Parse([]byte(match[1])); err == nil {
					e.Body = body
				}
			} else if strings.Contains(command, "--data-binary") {
				method = "POST"
			}
			if match := methods.FindStringSubmatch(command); match != nil {
				method = match[1]
			}
			last = method + " " + path
			newest = last
			all[last] = append(all[last], e)
		}
		if len(found) != 1 {
			last = ""
		}
	}
	return all
}

// requests are examples of bodies that the API's page does not show, by operation.
var requests = map[string]string{
	"POST /v1/webhooks/{name}/recover":                `{"since": "6h", "only": "failed", "dry_run": true}`,
	"POST /v1/connections/{name}/recover":             `{"since": "2026-01-02T03:04:05Z", "only": "all", "reason": "the CRM was restored"}`,
	"PUT /v1/connections/{name}/token":                `{"refresh_token": "a-refresh-token"}`,
	"POST /v1/connections/{name}/test":                `{"type": "response.completed", "email": "jo@example.com"}`,
	"POST /v1/webhooks":                               `{"url": "https://hook.example.com/in", "events": ["response.completed"], "when": "nps_score <= 6"}`,
	"PATCH /v1/webhooks/{name}":                       `{"headers": {"X-Old": null}, "timeout": "5s"}`,
	"PATCH /v1/connections/{name}":                    `{"rate": "10/s"}`,
	"PUT /v1/sources/{name}":                          `{"profile": "pollqr", "secrets": ["a-secret-that-the-platform-shares"]}`,
	"PATCH /v1/sources/{name}":                        `{"timezone": "Europe/Istanbul"}`,
	"PATCH /v1/rules/{name}":                          `{"when": "nps_score <= 7"}`,
	"PATCH /v1/tenants/{id}":                          `{"title": "Acme", "limits": {"webhooks": null, "rules": 20}}`,
	"POST /v1/settings/import":                        `{"webhooks": [{"name": "help-desk", "url": "https://hook.example.com/in"}]}`,
	"POST /v1/try":                                    `{"draft": {"rules": {"detractor": {"when": "nps_score <= 7", "send": ["alarms"]}}}, "events": {"last": 500, "type": "response.completed"}, "show": ["difference"]}`,
	"POST /v1/plans":                                  `{"files": [{"name": "surveygate.yaml", "text": "rules: []\n"}], "since": "7d", "limit": 100000}`,
	"POST /v1/sources/{name}/capture":                 `{"for": "1h"}`,
	"POST /v1/sources/{name}/test":                    `{"body": {"event": "response.completed"}, "headers": {"X-Signature": "…"}}`,
	"POST /department/{department}/webhook":           `{"name": "Help desk", "url": "https://hook.example.com/in", "events": ["response.completed"]}`,
	"POST /department/{department}/webhook/add":       `{"name": "Help desk", "url": "https://hook.example.com/in", "events": ["response.completed"], "headers": {"X-Key": "a-key"}}`,
	"PUT /department/{department}/webhook/{name}":     `{"id": "wh_4kq2m7xw9a3c", "name": "Help desk", "url": "https://hook.example.com/in", "events": ["response.completed"], "isActive": false}`,
	"POST /department/{department}/webhook/test-send": `{"url": "https://hook.example.com/in"}`,
}
