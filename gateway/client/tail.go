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
	"net/url"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/view"
)

// TailLine is something that happens in the gateway, as Tail reports it.
type TailLine = view.TailLine

// TailRule is a rule or webhook in a TailLine.
type TailRule = view.TailRule

// The kinds of TailLine.
const (
	TailEvent   = view.TailEvent
	TailAttempt = view.TailAttempt
	TailEnded   = view.TailEnded
	TailMissed  = view.TailMissed
)

const (
	// maxTailLine bounds one line of a stream.
	maxTailLine = 1 << 20
	// lastedLong is how long a stream lasts at least after which the wait begins anew: where too many are open, each ends another.
	lastedLong = 10 * time.Second
	// reconnectFirst and reconnectMost bound the wait before a stream that broke is opened again; it doubles.
	reconnectFirst, reconnectMost = 200 * time.Millisecond, 5 * time.Second
)

// Tail calls each for what happens, until ctx ends or each returns an error, which is returned. Query may have `rule`, `destination`,
// `source` and `failed=true`. began is called once the gateway listens. The gateway ends a stream now and then, and it may be
// restarted: then Tail connects again and continues behind the last line. Only a first connection that fails, or a refusal, is an error.
func (c *Client) Tail(ctx context.Context, query url.Values, began func(), each func(*TailLine) error) error {
	last, wait, connected := uint64(0), reconnectFirst, false
	for {
		opened := wall.Elapsed()
		err := c.tailOnce(ctx, query, &last, func() {
			if !connected && began != nil {
				began()
			}
			connected = true
		}, each)
		if wall.Elapsed()-opened > lastedLong {
			wait = reconnectFirst
		}
		stopped, isStop := errors.AsType[*stopError](err)
		refused, isRefusal := errors.AsType[*APIError](err)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isStop:
			return stopped.error
		case err == nil && !connected:
			return fmt.Errorf("%s: the gateway ended the stream at once", c.where)
		case !connected, isRefusal && refused.Status != http.StatusServiceUnavailable && refused.Status != http.StatusTooManyRequests:
			return err
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, reconnectMost)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// wall measures how long streams last.
var wall = clock.System()

// stopError is the error of a caller that wants no more.
type stopError struct{ error }

// tailOnce reads one stream to its end.
func (c *Client) tailOnce(ctx context.Context, query url.Values, last *uint64, began func(), each func(*TailLine) error) error {
	call := Call{Method: http.MethodGet, Path: "/v1/tail", Query: query, Header: map[string]string{"Accept": "text/event-stream"}}
	if *last > 0 {
		call.Header["Last-Event-ID"] = strconv.FormatUint(*last, 10)
	}
	req, err := c.request(ctx, &call)
	if err != nil {
		return err
	}
	caller := *c.http
	caller.Timeout = 0 // it lasts
	res, err := caller.Do(req)
	if err != nil {
		return c.unanswered(req, 0, err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode >= 400 {
		text, err := io.ReadAll(io.LimitReader(res.Body, maxTailLine))
		if err != nil {
			return fmt.Errorf("%s: %w", c.where, err)
		}
		return refusalOf(res.StatusCode, text, nil)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxTailLine)
	for lines.Scan() {
		began() // the first line is a comment, which the gateway writes once it listens
		if id, ok := bytes.CutPrefix(lines.Bytes(), []byte("id: ")); ok && *last == 0 {
			*last, _ = strconv.ParseUint(string(id), 10, 64) // where the stream begins, before any line
		}
		text, ok := bytes.CutPrefix(lines.Bytes(), []byte("data: "))
		if !ok {
			continue
		}
		line := &TailLine{}
		if err := json.Unmarshal(text, line); err != nil {
			return &stopError{c.notUnderstood(err)}
		}
		*last = line.N
		if err := each(line); err != nil {
			return &stopError{err}
		}
	}
	return lines.Err()
}
