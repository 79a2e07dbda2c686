package slack

import (
	"strings"

	"github.com/slack-go/slack/slackutilsx"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/expression"
)

// Limits: https://docs.slack.dev/reference/block-kit/blocks and the pages below it.
const (
	maxBlocks  = 50
	maxHeader  = 150
	maxSection = 3_000
	maxAlt     = 2_000
)

// maxItems is the largest number of items in each list of a block type.
var maxItems = map[string]map[string]int{
	"section": {"fields": 10},
	"context": {"elements": 10},
	"actions": {"elements": 25},
}

// tidy shortens a block's texts and lists to Slack's limits and removes the empty ones. It reports whether anything is left.
func tidy(b expression.Object) (expression.Object, bool) {
	kind := stringField(b, "type")
	for key, limit := range maxItems[kind] {
		if items, ok := field(b, key).([]any); ok && kind != "actions" {
			maxLength := maxSection
			if kind == "section" {
				maxLength = maxField
			}
			items = clipTexts(items, maxLength)
			if len(items) == 0 {
				b = without(b, key)
				continue
			}
			set(b, key, items[:min(len(items), limit)])
		}
	}
	if a, ok := field(b, "accessory").(expression.Object); ok && stringField(a, "type") == "image" && !hasPicture(a) {
		b = without(b, "accessory")
	}
	switch kind {
	case "header":
		return b, clipText(field(b, "text"), maxHeader)
	case "section":
		if !clipText(field(b, "text"), maxSection) {
			b = without(b, "text")
		}
		return b, field(b, "text") != nil || field(b, "fields") != nil
	case "context":
		return b, field(b, "elements") != nil
	case "image":
		clipText(field(b, "title"), maxAlt)
		if alt := stringField(b, "alt_text"); alt != "" {
			set(b, "alt_text", connectors.ClipHTML(alt, maxAlt))
		}
		return b, hasPicture(b)
	}
	return b, true
}

// hasPicture reports whether an image block or element has a URL or a file.
func hasPicture(image expression.Object) bool {
	return stringField(image, "image_url") != "" || field(image, "slack_file") != nil
}

// clipTexts shortens the text objects of a list and removes the empty ones.
func clipTexts(texts []any, limit int) []any {
	kept := texts[:0]
	for _, text := range texts {
		if clipText(text, limit) {
			kept = append(kept, text)
		}
	}
	return kept
}

// clipText shortens a text object and reports whether it has any text. Other values, such as an image, are left unchanged.
func clipText(v any, limit int) bool {
	object, ok := v.(expression.Object)
	if !ok {
		return v != nil
	}
	switch stringField(object, "type") {
	case "mrkdwn", "plain_text":
		text := stringField(object, "text")
		if text != "" {
			set(object, "text", connectors.ClipHTML(text, limit))
		}
		return strings.TrimSpace(text) != ""
	}
	return true
}

// unescape removes the mrkdwn escapes wherever Slack does not read mrkdwn: in plain texts, in addresses and in values. In
// mrkdwn it replaces the placeholders of `|` (see restorePipes).
func unescape(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			unescape(item)
		}
	case expression.Object:
		kind := stringField(v, "type")
		for i := range v {
			text, ok := v[i].Value.(string)
			switch {
			case !ok:
				unescape(v[i].Value)
			case v[i].Key == "text" && kind != "plain_text" && kind != "text":
				v[i].Value = restorePipes(text)
			case strings.IndexByte(text, '&') >= 0 || strings.Contains(text, pipe):
				v[i].Value = unescaper.Replace(text)
			}
		}
	}
}

var unescaper = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", pipe, "|")

func field(o expression.Object, key string) any {
	v, _ := o.Lookup(key)
	return v
}

// stringField returns the text of a field; "" if it is absent or has another type.
func stringField(o expression.Object, key string) string {
	text, _ := field(o, key).(string)
	return text
}

// set changes an existing field.
func set(o expression.Object, key string, v any) {
	for i := range o {
		if o[i].Key == key {
			o[i].Value = v
		}
	}
}

func without(o expression.Object, key string) expression.Object {
	kept := o[:0]
	for _, m := range o {
		if m.Key != key {
			kept = append(kept, m)
		}
	}
	return kept
}

// escape escapes a respondent's text, so that Slack shows it and does not interpret it (`<!channel>`).
func escape(text string, limit int) string {
	return connectors.ClipHTML(slackutilsx.EscapeMessage(connectors.Clip(text, limit)), limit)
}
