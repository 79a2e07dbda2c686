package slack

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "slack")
	connectortest.PlayFiles(t, "slack.thread", "testdata/thread/*.txtar", connectortest.Bind)
}

// TestEveryCode checks the verdict on every documented code, for a bot and for an incoming webhook.
func TestEveryCode(t *testing.T) {
	t.Parallel()
	api := &Connector{Account: Account{Token: connectors.NewSecret("xoxb-1"), Channel: "C1"}}
	hook := &Connector{Account: Account{Webhook: connectors.NewSecret("https://hooks.slack.com/services/T/B/X")}}
	lists := map[connectors.Kind]string{
		connectors.Retry: `ratelimited rate_limited message_limit_exceeded internal_error fatal_error service_unavailable request_timeout
			team_added_to_org`,
		connectors.Revoked: `invalid_auth not_authed account_inactive token_revoked token_expired missing_scope not_allowed_token_type
			no_permission org_login_required ekm_access_denied access_denied accesslimited app_access_restricted
			enterprise_is_restricted team_not_found two_factor_setup_required`,
		connectors.Rejected: `no_text invalid_blocks invalid_blocks_format msg_blocks_too_long msg_too_long too_many_attachments
			attachment_payload_limit_exceeded invalid_arguments markdown_text_conflict metadata_too_large cannot_reply_to_message
			restricted_action_thread_locked`,
	}
	for kind, list := range lists {
		for code := range strings.FieldsSeq(list) {
			res := &connectors.Response{Status: 200, Body: []byte(`{"ok":false,"error":"` + code + `"}`)}
			if got := api.Judge(res); got.Kind != kind {
				t.Errorf("chat.postMessage %s: got %v, want %s", code, got, kind)
			}
		}
	}
	// What speaks of the channel names the setting: a rule's step may have chosen it.
	for code := range strings.FieldsSeq(`channel_not_found not_in_channel is_archived messages_tab_disabled restricted_action
		restricted_action_read_only_channel restricted_action_thread_only_channel`) {
		got := api.Judge(&connectors.Response{Status: 200, Body: []byte(`{"ok":false,"error":"` + code + `"}`)})
		if want := connectors.Revoke(code).ForSetting("channel"); !cmp.Equal(got, want) {
			t.Errorf("chat.postMessage %s: got %v, want %v", code, got, want)
		}
	}
	words := []struct {
		status int
		words  string
		want   connectors.Kind
	}{
		{400, "invalid_payload user_not_found no_text invalid_blocks too_many_attachments posting_to_general_channel_denied", connectors.Rejected},
		{403, "action_prohibited invalid_token", connectors.Revoked},
		{404, "channel_not_found no_service no_service_id no_team no_active_hooks", connectors.Revoked},
		{410, "channel_is_archived", connectors.Revoked},
		{429, "rate_limited", connectors.Retry},
		{500, "rollup_error", connectors.Retry},
	}
	for _, row := range words {
		for word := range strings.FieldsSeq(row.words) {
			// The published statuses come from secondary sources: the word decides under any of them.
			for _, status := range []int{row.status, 400, 404} {
				res := &connectors.Response{Status: status, Body: []byte(word + "\n")}
				if got := hook.Judge(res); got.Kind != row.want || got.Reason != word || got.Setting != "" {
					t.Errorf("webhook %d %s: got %v, want %s", status, word, got, row.want)
				}
			}
		}
	}
}

func TestThrottlingIsObeyed(t *testing.T) {
	t.Parallel()
	c := &Connector{Account: Account{Token: connectors.NewSecret("xoxb-1"), Channel: "C1"}}
	got := c.Judge(&connectors.Response{
		Status: 429, Header: map[string][]string{"Retry-After": {"30"}}, Body: []byte(`{"ok":false,"error":"ratelimited"}`),
	})
	if want := (connectors.Verdict{Kind: connectors.Retry, After: 30 * time.Second, Reason: "rate_limited"}); !cmp.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// An incoming webhook's 429 may have the wait in its body only. The header takes precedence.
func TestRetryAfterInTheBody(t *testing.T) {
	t.Parallel()
	hook := &Connector{Account: Account{Webhook: connectors.NewSecret("https://hooks.slack.com/services/T/B/X")}}
	bot := &Connector{Account: Account{Token: connectors.NewSecret("xoxb-1"), Channel: "C1"}}
	for _, row := range []struct {
		c      *Connector
		status int
		header string
		body   string
		want   time.Duration
	}{
		{hook, 429, "", `{"retry_after":30}`, 30 * time.Second},
		{hook, 429, "", `{"ok":false,"error":"rate_limited","retry_after":1.5}`, 1500 * time.Millisecond},
		{hook, 429, "", `{"retry_after":"20"}`, 20 * time.Second},
		{hook, 429, "7", `{"retry_after":30}`, 7 * time.Second},
		{hook, 429, "", `{"retry_after":1e9}`, connectors.MaxRetryAfter},
		{hook, 429, "", `{"retry_after":-1}`, 0},
		{hook, 429, "", `{"retry_after":[1]}`, 0},
		{hook, 429, "", `rate_limited`, 0},
		{bot, 200, "", `{"ok":false,"error":"ratelimited","retry_after":12}`, 12 * time.Second},
		{bot, 200, "", `{"ok":false,"error":"message_limit_exceeded","retry_after":12}`, 12 * time.Second},
	} {
		res := &connectors.Response{Status: row.status, Header: map[string][]string{"Retry-After": {row.header}}, Body: []byte(row.body)}
		if v := row.c.Judge(res); v.Kind != connectors.Retry || v.After != row.want {
			t.Errorf("%d %q %s: %v, want retry after %s", row.status, row.header, row.body, v, row.want)
		}
	}
}

// Missing permissions have the fix FixProduct, and invalid credentials have FixCredentials.
func TestEveryCodeHasItsHint(t *testing.T) {
	t.Parallel()
	lists := map[connectors.Fix]string{
		connectors.FixWait: `ratelimited rate_limited message_limit_exceeded internal_error fatal_error service_unavailable request_timeout
			team_added_to_org rollup_error`,
		connectors.FixCredentials: `invalid_auth not_authed account_inactive token_revoked token_expired not_allowed_token_type invalid_token
			no_service no_service_id no_team no_active_hooks team_not_found`,
		connectors.FixProduct: `missing_scope no_permission org_login_required ekm_access_denied action_prohibited channel_not_found
			not_in_channel is_archived channel_is_archived restricted_action restricted_action_read_only_channel messages_tab_disabled
			posting_to_general_channel_denied restricted_action_thread_locked`,
		connectors.FixConfiguration: `invalid_payload user_not_found no_text invalid_blocks too_many_attachments invalid_blocks_format
			msg_blocks_too_long msg_too_long attachment_payload_limit_exceeded invalid_arguments markdown_text_conflict metadata_too_large`,
	}
	for fix, list := range lists {
		for code := range strings.FieldsSeq(list) {
			for _, name := range []string{"slack", "slack.thread"} {
				c, ok := connectors.CauseOf(name, code)
				if !ok || c.Fix != fix || c.Hint == "" || strings.TrimSuffix(c.Code, "*") != code && !strings.HasPrefix(code, "restricted_action_read") {
					t.Errorf("%s %s: %+v, want %s", name, code, c, fix)
				}
			}
		}
	}
}

// The reason of a network error matches no cause of Slack's.
func TestNoCauseInWhatSlackDidNotSay(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"no attempts left: connection refused", "no attempts left: no answer within 15s"} {
		if c, ok := connectors.CauseOf("slack", reason); ok {
			t.Errorf("%s: %+v", reason, c)
		}
	}
}

func TestClipNeverCutsAnEscape(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("é&amp;", 10)
	for limit := 1; limit < 70; limit++ {
		got := connectors.ClipHTML(text, limit)
		if n := utf8.RuneCountInString(got); n > limit {
			t.Errorf("limit %d: %d runes", limit, n)
		}
		bare := strings.ReplaceAll(strings.TrimSuffix(got, "…"), "&amp;", "")
		if strings.ContainsAny(bare, "&;") || !utf8.ValidString(got) {
			t.Errorf("limit %d cuts an escape: %q", limit, got)
		}
	}
}

// Half a link would be shown as it is written.
func TestALinkIsNotCutInHalf(t *testing.T) {
	t.Parallel()
	c := &Connector{Account: Account{Token: connectors.NewSecret("xoxb-1"), Channel: "#nps"}}
	c.Text = expression.MustText("{{ feedback }} <https://example.com/responses/{{ response.id }}|open>")
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","response":{"id":"r1"},"feedback":"` + strings.Repeat("a", maxText-20) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	req, err := c.Build(ev)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(req.Body), "<https") {
		t.Error("the text ends in half a link")
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	bot := &Connector{Account: Account{Token: connectors.NewSecret("xoxb-1"), Channel: "#nps", BaseURL: "https://slack.example/api"}}
	req := bot.Check()[0]
	if req.Method != "POST" || req.URL != "https://slack.example/api/auth.test" {
		t.Errorf("got %s %s", req.Method, req.URL)
	}
	if _, ok := req.Auth.(connectors.BearerAuth); !ok {
		t.Errorf("the token is sent as %T", req.Auth)
	}
	for body, want := range map[string]connectors.Proof{
		`{"ok":true,"team":"T"}`:              {Unproved: []string{"that the bot may post to #nps"}},
		`{"ok":false,"error":"invalid_auth"}`: connectors.Missing("a token that Slack accepts (invalid_auth)"),
		`<html>`:                              connectors.Missing("a token that Slack accepts (the answer is not Slack's)"),
	} {
		if diff := cmp.Diff(want, bot.JudgeCheck(&connectors.Response{Status: 200, Body: []byte(body), To: req})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
	hook := &Connector{Account: Account{Webhook: connectors.NewSecret("https://hooks.slack.com/services/T/B/X")}}
	if len(hook.Check()) != 0 {
		t.Error("a webhook cannot be proved without posting")
	}
}

// TestFields is the contract's table, of both ways in and of a thread's reply.
func TestFields(t *testing.T) {
	t.Parallel()
	table := []connectortest.Field{
		{To: "method", From: "always", Want: "POST"},
		{To: "text", From: "response.score.nps", Sample: 3, Want: "Low NPS Alert: Score 3/10"},
		{To: "attachments.0.fallback", From: "the same", Want: "Low NPS Alert: Score 3/10"},
		{To: "attachments.0.color", From: "group of the score", Want: "danger"},
		{To: "attachments.0.fields.0.title", From: "always", Want: "Customer"},
		{To: "attachments.0.fields.0.value", From: "respondent.email", Sample: "jo@example.com"},
		{To: "attachments.0.fields.0.short", From: "always", Want: true},
		{To: "attachments.0.fields.1.title", From: "always", Want: "Feedback"},
		{To: "attachments.0.fields.1.value", From: "response.feedback", Sample: "slow <&>", Want: "slow &lt;&amp;&gt;"},
		{To: "attachments.0.fields.1.short", From: "always", Want: false},
		{To: "attachments.0.fields.2.title", From: "always", Want: "Survey"},
		{To: "attachments.0.fields.2.value", From: "survey.title", Sample: "Onboarding"},
		{To: "attachments.0.fields.2.short", From: "always", Want: true},
	}
	connectortest.CheckFields(t, "slack", "webhook: https://hooks.slack.com/services/T/B/X",
		append(table, connectortest.Field{To: "url", From: "the webhook, which is a secret", Want: ""},
			connectortest.Field{To: "header.Content-Type", From: "always", Want: "application/json"}))
	bot := append(table, connectortest.Field{To: "url", From: "always", Want: "https://slack.com/api/chat.postMessage"},
		connectortest.Field{To: "channel", From: "channel", Want: "C1"},
		connectortest.Field{To: "header.Content-Type", From: "always", Want: "application/json; charset=utf-8"})
	connectortest.CheckFields(t, "slack", "{token: xoxb-1, channel: C1}", bot)
	connectortest.CheckFields(t, "slack.thread", "{token: xoxb-1, channel: C1}", bot)

	c, _ := connectors.New("slack.thread")
	if err := connectortest.Bind([]byte("{token: xoxb-1, channel: C1, reply: '{{ feedback }}'}"), c); err != nil {
		t.Fatal(err)
	}
	ev, err := connectortest.ParseEvent([]byte(`{"type":"response.completed","feedback":"slow"}`))
	if err != nil {
		t.Fatal(err)
	}
	v := c.(connectors.Judge).Judge(&connectors.Response{Status: 200, Body: []byte(`{"ok":true,"channel":"C9","ts":"1.2"}`), Events: []*event.Event{ev}})
	if v.Kind != connectors.Continue {
		t.Fatalf("after the message comes %v", v)
	}
	connectortest.CheckRequest(t, v.Next, map[string]any{
		"url":       "https://slack.com/api/chat.postMessage",
		"channel":   "C9",  // of the answer
		"thread_ts": "1.2", // of the answer
		"text":      "slow",
	})
}

// For any text of a respondent, the message has exactly the operator's blocks, and no mention.
func FuzzBlocks(f *testing.F) {
	for _, seed := range []string{"slow", `"}},{"type":"header"`, "<!channel>", `\u0022`, "\\", "é", "1", "", "\x00\u2028", `"`, "]"} {
		f.Add(seed)
	}
	c := &Connector{Account: Account{Webhook: connectors.NewSecret("https://hooks.slack.com/services/T/B/X")}}
	const blocks = `[{"type":"divider"},{"type":"section","text":{"type":"mrkdwn","text":"{{ feedback }}"}}]`
	if err := c.Blocks.UnmarshalText([]byte(blocks)); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, feedback string) {
		given, err := json.Marshal(map[string]any{"type": "response.completed", "feedback": feedback})
		if err != nil {
			t.Fatal(err)
		}
		ev, err := connectortest.ParseEvent(given)
		if err != nil {
			return // a text that no event holds
		}
		req, err := c.Build(ev)
		if err != nil {
			t.Fatalf("%q: %v", feedback, err)
		}
		var m struct {
			Blocks []struct {
				Type string
				Text struct{ Text string }
			}
		}
		if err := json.Unmarshal(req.Body, &m); err != nil {
			t.Fatal(err)
		}
		if len(m.Blocks) == 0 || len(m.Blocks) > 2 || m.Blocks[0].Type != "divider" {
			t.Fatalf("%q made the blocks %v", feedback, m.Blocks)
		}
		if len(m.Blocks) == 2 && (m.Blocks[1].Type != "section" || strings.ContainsAny(m.Blocks[1].Text.Text, "<>")) {
			t.Fatalf("%q made the block %v", feedback, m.Blocks[1])
		}
	})
}
