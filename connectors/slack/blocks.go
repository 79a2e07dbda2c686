package slack

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/slack-go/slack/slackutilsx"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

// Limits of Block Kit: https://docs.slack.dev/reference/block-kit/blocks
const (
	maxBlocks  = 50
	maxHeader  = 150
	maxSection = 3_000
)

var errBlocks = errors.New("is not a list of Block Kit blocks in JSON; holes stand only inside its strings")

// block is one of Block Kit's as JSON: the operator may use those of tomorrow, which slack-go does not know.
type block map[string]any

// blocks fills the holes and leaves out what came out empty, because Slack refuses the whole message for it.
func (c *Connector) blocks(ev *event.Event) ([]block, error) {
	if c.Blocks.IsZero() {
		return nil, nil
	}
	text, err := c.Blocks.Of(ev, insideString)
	if err != nil {
		return nil, err
	}
	var all []block
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if decoder.Decode(&all) != nil || decoder.More() {
		return nil, errBlocks // its own error would quote the respondent
	}
	return slices.DeleteFunc(all, func(b block) bool { return !tidy(b) }), nil
}

// insideString escapes what fills a hole for Slack, then for the JSON string around it. Its first character is
// always one that is no JSON outside of a string, if need be by writing it as \uXXXX: a hole anywhere else can
// only fail, and no respondent can write a block.
func insideString(text string) string {
	text = slackutilsx.EscapeMessage(text)
	b := make([]byte, 0, len(text)+len(`\u0000`))
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ', c == '"', c == '\\', i == 0 && c < utf8.RuneSelf:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

const hex = "0123456789abcdef"

// tidy clips a block's texts and says whether anything of it is left.
func tidy(b block) bool {
	switch b["type"] {
	case "header":
		return clipText(b["text"], maxHeader)
	case "section":
		if text, has := b["text"]; has && !clipText(text, maxSection) {
			delete(b, "text")
		}
		if fields, has := b["fields"].([]any); has {
			if fields = filter(fields, maxField); len(fields) > 0 {
				b["fields"] = fields
			} else {
				delete(b, "fields")
			}
		}
		return b["text"] != nil || b["fields"] != nil
	case "context":
		elements, _ := b["elements"].([]any)
		elements = filter(elements, maxSection)
		b["elements"] = elements
		return len(elements) > 0
	}
	return true
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

// clipText clips a text object; false says that it is empty. Anything else is left as it is.
func clipText(object any, limit int) bool {
	m, _ := object.(map[string]any)
	text, has := m["text"].(string)
	if !has {
		return m != nil
	}
	m["text"] = clip(text, limit)
	return text != ""
}

// nothing is an event without any content, to see at load whether the blocks are JSON when every hole is empty.
var nothing = []byte(`{"type":"test"}`)

func (c *Connector) validateBlocks() error {
	if c.Blocks.IsZero() {
		return nil
	}
	ev, err := event.ParseOne(nothing, event.Defaults{Received: time.Unix(0, 0)})
	if err != nil {
		return err
	}
	text, err := c.Blocks.Of(ev, insideString)
	if err != nil {
		return connectors.Invalid("blocks", err.Error())
	}
	var all []struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal([]byte(text), &all); err != nil {
		return connectors.Invalid("blocks", errBlocks.Error())
	}
	if len(all) == 0 || len(all) > maxBlocks {
		return connectors.Invalid("blocks", fmt.Sprintf("holds %d blocks; Slack takes 1 to %d", len(all), maxBlocks))
	}
	for i, block := range all {
		if block.Type == "" {
			return connectors.Invalid("blocks", fmt.Sprintf("block %d has no `type`", i+1))
		}
	}
	return nil
}
