package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxWorkLine bounds one line of the answer to a call of work.
const maxWorkLine = 64 << 20

// work makes a call whose answer takes seconds to minutes, and that changes nothing. progress, which may be nil, is called with the JSON
// of each progress; into receives the result. When ctx ends, the gateway ends the work.
func (c *Client) work(ctx context.Context, call Call, progress func([]byte) error, into any) error {
	call.Header = map[string]string{"Accept": "text/event-stream"}
	req, err := c.request(ctx, &call)
	if err != nil {
		return err
	}
	caller := *c.http
	caller.Timeout = 0 // the gateway bounds it, and writes now and then
	res, err := caller.Do(req)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return c.unanswered(req, 0, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= http.StatusBadRequest {
		text, err := io.ReadAll(io.LimitReader(res.Body, maxWorkLine))
		if err != nil {
			return fmt.Errorf("%s: %w", c.where, err)
		}
		refusal := refusalOf(res.StatusCode, text, nil)
		refusal.After = retryAfter(res.Header.Get("Retry-After"))
		return refusal
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxWorkLine)
	name := ""
	for lines.Scan() {
		line := lines.Bytes()
		if text, ok := bytes.CutPrefix(line, []byte("event: ")); ok {
			name = string(text)
			continue
		}
		text, ok := bytes.CutPrefix(line, []byte("data: "))
		if !ok {
			continue
		}
		switch name {
		case "progress":
			if progress != nil {
				if err := progress(text); err != nil {
					return err
				}
			}
		case "problem":
			refusal := &APIError{}
			if err := json.Unmarshal(text, refusal); err != nil {
				return c.notUnderstood(err)
			}
			return refusal
		case "result":
			if err := json.Unmarshal(text, into); err != nil {
				return c.notUnderstood(err)
			}
			return nil
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("%s: the answer has more than %d MiB", c.where, maxWorkLine>>20)
	case err != nil:
		return fmt.Errorf("%s: the connection broke before the answer was complete: %w", c.where, err)
	}
	return fmt.Errorf("%s: the gateway ended the answer before it was complete, as it does when it stops: ask again", c.where)
}

func (c *Client) notUnderstood(err error) error {
	return fmt.Errorf("%s: the answer is not what this version understands: %w", c.where, err)
}
