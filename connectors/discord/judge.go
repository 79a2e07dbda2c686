package discord

import (
	"encoding/json"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/connectors"
)

var (
	// snowflake matches the ids of Discord's records.
	snowflake = regexp.MustCompile(`^[0-9]{1,20}$`)
	// fault matches the codes of the fields at fault. Any other text of an answer may contain personal data.
	fault = regexp.MustCompile(`^[A-Z][A-Z0-9_]{1,59}$`)
)

// Judge reads Discord's code first and the status second.
// https://docs.discord.com/developers/topics/opcodes-and-status-codes#json-json-error-codes
func (c *Connector) Judge(res *connectors.Response) connectors.Verdict {
	var answer struct {
		ID     string          `json:"id"`
		Code   int             `json:"code"`
		After  json.Number     `json:"retry_after"`
		Global bool            `json:"global"`
		Errors json.RawMessage `json:"errors"`
	}
	readable := res.JSON(&answer) == nil
	v := connectors.ByStatus(res)
	switch {
	case res.Status == 204: // a proxy has removed wait
		v.Ref = res.Receipt("")
		return v
	case v.Kind == connectors.Delivered && (!readable || !snowflake.MatchString(answer.ID)):
		return connectors.TryAgain("the answer is not Discord's")
	case v.Kind == connectors.Delivered:
		v.Ref = answer.ID
		return v
	case res.Status == 429:
		// The number in the body is more exact than the header, which is in whole seconds.
		// https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit
		if exact := connectors.ParseSeconds(string(answer.After)); exact > 0 {
			v.After = exact.Round(time.Millisecond)
		}
		if answer.Global || res.Header.Get("X-RateLimit-Global") == "true" {
			v.Reason += ": for all webhooks of this address"
		}
		return v
	}
	if v, settled := c.judgeAmendment(res, answer.Code); settled {
		return v
	}
	if res.Status == 404 { // Discord restricts the address of those who go on calling a webhook that does not exist
		v.Kind = connectors.Revoked
	}
	if answer.Code != 0 {
		code := strconv.Itoa(answer.Code)
		v.Reason += ": " + code
		if kind, known := kinds[code]; known {
			v.Kind = kind
			if kind != connectors.Retry {
				v.After = 0
			}
		}
	}
	for _, word := range faults(answer.Errors) {
		v.Reason += " " + word
	}
	return v
}

// maxFaults bounds the codes in a reason.
const maxFaults = 2

// faults returns the codes of the fields at fault, such as BASE_TYPE_BAD_LENGTH, which stand at any depth below `_errors`.
// https://docs.discord.com/developers/reference#error-messages
func faults(errors json.RawMessage) []string {
	var tree any
	if json.Unmarshal(errors, &tree) != nil {
		return nil
	}
	var all []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if code, ok := v["code"].(string); ok && fault.MatchString(code) {
				all = append(all, code)
			}
			for _, item := range v {
				walk(item)
			}
		}
	}
	walk(tree)
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), maxFaults)]
}
