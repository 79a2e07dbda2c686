package slack

import (
	"strings"
	"unicode/utf8"

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

// lists are how many items Slack takes in the lists of a block.
var lists = map[string]map[string]int{
	"section": {"fields": 10},
	"context": {"elements": 10},
	"actions": {"elements": 25},
}

// tidy clips a block's texts and lists, and says whether anything of it is left.
func tidy(b expression.Object) (expression.Object, bool) {
	kind := word(b, "type")
	for key, most := range lists[kind] {
		if items, is := value(b, key).([]any); is && kind != "actions" {
			limit := maxSection
			if kind == "section" {
				limit = maxField
			}
			items = filter(items, limit)
			if len(items) == 0 {
				b = without(b, key)
				continue
			}
			set(b, key, items[:min(len(items), most)])
		}
	}
	if a, is := value(b, "accessory").(expression.Object); is && word(a, "type") == "image" && !pictured(a) {
		b = without(b, "accessory")
	}
	switch kind {
	case "header":
		return b, clipText(value(b, "text"), maxHeader)
	case "section":
		if !clipText(value(b, "text"), maxSection) {
			b = without(b, "text")
		}
		return b, value(b, "text") != nil || value(b, "fields") != nil
	case "context":
		return b, value(b, "elements") != nil
	case "image":
		clipText(value(b, "title"), maxAlt)
		if alt := word(b, "alt_text"); alt != "" {
			set(b, "alt_text", clip(alt, maxAlt))
		}
		return b, pictured(b)
	}
	return b, true
}

// pictured says that an image has a picture.
func pictured(image expression.Object) bool {
	return word(image, "image_url") != "" || value(image, "slack_file") != nil
}

func filter(texts []any, limit int) []any {
	kept := texts[:0]
	for _, text := range texts {
		if clipText(text, limit) {
			kept = append(kept, text)
		}
	}
	return kept
}

// clipText clips a text object; false says that it is empty. What is none, as an image, is left as it is.
func clipText(v any, limit int) bool {
	object, is := v.(expression.Object)
	if !is {
		return v != nil
	}
	switch word(object, "type") {
	case "mrkdwn", "plain_text":
		text := word(object, "text")
		if text != "" {
			set(object, "text", clip(text, limit))
		}
		return strings.TrimSpace(text) != ""
	}
	return true
}

// unescape takes back what is escaped for Slack's mrkdwn wherever Slack reads none: in plain texts, where nobody can
// be mentioned, in addresses and in values. In mrkdwn it puts every `|` in its place (links).
func unescape(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			unescape(item)
		}
	case expression.Object:
		kind := word(v, "type")
		for i := range v {
			text, is := v[i].Value.(string)
			switch {
			case !is:
				unescape(v[i].Value)
			case v[i].Key == "text" && kind != "plain_text" && kind != "text":
				v[i].Value = links(text)
			case strings.IndexByte(text, '&') >= 0 || strings.Contains(text, pipe):
				v[i].Value = plain.Replace(text)
			}
		}
	}
}

var plain = strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", pipe, "|")

func value(o expression.Object, key string) any {
	v, _ := o.Lookup(key)
	return v
}

func word(o expression.Object, key string) string {
	text, _ := value(o, key).(string)
	return text
}

// set changes a field that is there.
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

// escape is a respondent's words as Slack shows them and not as it obeys them (`<!channel>`).
func escape(text string, limit int) string {
	return clip(slackutilsx.EscapeMessage(connectors.Clip(text, limit)), limit)
}

// clip cuts escaped text, and never inside an `&amp;`, which would show its remains.
func clip(text string, limit int) string {
	if len(text) <= limit || utf8.RuneCountInString(text) <= limit {
		return text
	}
	text = strings.TrimSuffix(connectors.Clip(text, limit), "…")
	if at := strings.LastIndexByte(text, '&'); at >= 0 && at > len(text)-len("&amp;") && !strings.Contains(text[at:], ";") {
		text = text[:at]
	}
	return text + "…"
}
