package slack

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
	"github.com/surveygate/surveygate/rules/expression"
)

// Blocks are Block Kit blocks, each a mapping of values. They may also be written as one text: the JSON list of Block Kit
// Builder, whose strings are literal, or texts with {{ }} holes. Unknown block types are passed on, so that new ones can be used.
type Blocks []expression.Values

var errBlocks = errors.New("is not a list of Block Kit blocks in JSON; holes stand only inside its strings, with single quotes in them")

// UnmarshalText accepts the list in JSON.
func (b *Blocks) UnmarshalText(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	list, err := decode(decoder)
	if err != nil {
		return errBlocks // its own error would quote the text
	}
	items, ok := list.([]any)
	if _, err := decoder.Token(); !ok || !errors.Is(err, io.EOF) {
		return errBlocks
	}
	all := make(Blocks, len(items))
	for i, item := range items {
		pairs, ok := item.([]expression.Pair)
		if !ok {
			return errBlocks
		}
		if all[i], err = expression.CompileValues(pairs); err != nil {
			return inBlock(i, err)
		}
	}
	*b = all
	return nil
}

// inBlock adds the number of the block to the first fault of a hole, because its offset in the whole text is not known.
func inBlock(i int, err error) error {
	var faults expression.Errors
	if !errors.As(err, &faults) || len(faults) == 0 {
		return err
	}
	first := faults[0]
	return fmt.Errorf("block %d, %s: %s; %s", i+1, strings.Join(first.Path, "."), first.Message, first.Remedy)
}

// decode reads one JSON value in the form of expression.Pair, which keeps the order of an object's keys.
func decode(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '[' {
			list := []any{}
			for d.More() {
				item, err := decode(d)
				if err != nil {
					return nil, err
				}
				list = append(list, item)
			}
			_, err := d.Token()
			return list, err
		}
		pairs := []expression.Pair{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := decode(d)
			if err != nil {
				return nil, err
			}
			pairs = append(pairs, expression.Pair{Key: fmt.Sprint(key), Value: value})
		}
		_, err := d.Token()
		return pairs, err
	case json.Number:
		if n, err := token.Int64(); err == nil {
			return n, nil
		}
		return token.Float64()
	case string:
		if strings.Contains(token, "{{") {
			return token, nil
		}
		return strconv.Quote(token), nil // a literal, written as an expression
	case bool:
		return token, nil
	}
	return nil, errBlocks
}

// render fills the blocks and leaves out the empty parts, because Slack refuses the whole message for one of them.
func (b Blocks) render(ev *event.Event) ([]expression.Object, error) {
	if len(b) == 0 {
		return nil, nil
	}
	all := make([]expression.Object, 0, len(b))
	for i, values := range b {
		block, err := values.Evaluate(ev, fill)
		if err != nil {
			return nil, fmt.Errorf("block %d: %w", i+1, err)
		}
		unescape(block)
		if block, ok := tidy(block); ok {
			all = append(all, block)
		}
	}
	return all, nil
}

// emptyEvent has no content: Validate uses it to evaluate what the operator wrote.
var emptyEvent = []byte(`{"type":"test"}`)

func (b Blocks) validate() error {
	if b == nil {
		return nil
	}
	if len(b) == 0 || len(b) > maxBlocks {
		return connectors.Invalid("blocks", fmt.Sprintf("holds %d blocks; Slack takes 1 to %d", len(b), maxBlocks))
	}
	ev, err := event.ParseOne(emptyEvent, event.Defaults{Received: time.Unix(0, 0)})
	if err != nil {
		return err
	}
	for i, values := range b {
		if !slices.Contains(values.Keys(), "type") {
			return connectors.Invalid("blocks", fmt.Sprintf("block %d has no `type`", i+1))
		}
		block, err := values.Evaluate(ev)
		if err != nil {
			return connectors.Invalid("blocks", err.Error())
		}
		for key, limit := range maxItems[stringField(block, "type")] {
			if items, _ := field(block, key).([]any); len(items) > limit {
				return connectors.Invalid("blocks", fmt.Sprintf("block %d has %d %s; Slack takes %d", i+1, len(items), key, limit))
			}
		}
	}
	return nil
}
