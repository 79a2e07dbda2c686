// Package audit records what people and programs changed: one list for each tenant, and one for the gateway itself, under the
// tenant "*". No line holds a secret.
package audit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/state"
)

// By is who does something.
type By struct {
	// Name is token:NAME, portal:ACTOR, import:OWNER, socket, or gateway.
	Name string `json:"by"`
	// IP is the address that the request came from, RequestID the request's; both may be empty.
	IP        string `json:"ip,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// Line is one change or act.
type Line struct {
	At time.Time `json:"at"`
	By
	// Did is what was done, KIND.VERB, such as webhook.update or delivery.replay; Of is to what, KIND/NAME.
	Did string `json:"did"`
	Of  string `json:"of"`
	// Version is that of the setting after the change; 0 where it has none.
	Version uint64 `json:"version,omitempty"`
	// Changed are the paths that differ, and `owner` and `locked` where those of a document do; Before and After are the settings with
	// masked secrets. They are left out where they are too large.
	Changed []string        `json:"changed,omitempty"`
	Before  json.RawMessage `json:"before,omitempty"`
	After   json.RawMessage `json:"after,omitempty"`
}

// The bounds of a tenant's list. maxLine bounds a line in bytes; of lines that are added together, those behind maxTogether bytes have
// no settings.
const (
	maxLines = 20_000
	keepFor  = 400 * 24 * time.Hour
	maxLine  = 16 << 10
	list     = "audit"

	maxTogether = 2 << 20
)

// Log keeps lines. All fields are required; it is safe for concurrent use.
type Log struct {
	Store state.Settings
	Clock clock.Clock
	// Added is called after lines were kept that are about one act, to tell those who want to hear of it; nil tells nobody.
	Added func(ctx context.Context, tenant string, lines []Line)
}

// Add keeps a line of a tenant. Its time is now.
func (l *Log) Add(ctx context.Context, tenant string, line Line) error {
	line.At = l.Clock.Now().UTC()
	item, err := encode(line)
	if err != nil {
		return err
	}
	if err := l.Store.Keep(ctx, tenant, list, item, maxLines, keepFor); err != nil {
		return fmt.Errorf("keep a line of the audit: %w", err)
	}
	l.Tell(ctx, tenant, []Line{line})
	return nil
}

// AddTo adds lines of a tenant to what is written together, with the present time. of are the numbers of the writes, as in state.Item,
// whose new versions the lines get; 0: the line has none. Call Tell after the batch is written.
func (l *Log) AddTo(b *state.Batch, tenant string, lines []Line, of []int) error {
	now, size := l.Clock.Now().UTC(), 0
	for i := range lines {
		line := &lines[i]
		line.At, line.Version = now, 0
		if of[i] != 0 {
			line.Version = placeholder
		}
		kept := *line
		if size > maxTogether {
			kept.Before, kept.After = nil, nil
		}
		item, err := encode(kept)
		if err != nil {
			return err
		}
		line.Version = 0
		size += len(item)
		added := state.Item{Tenant: tenant, List: list, Head: item, Max: maxLines, TTL: keepFor}
		if of[i] != 0 { // what stands before the version has no such text: in strings of JSON, quotes are escaped
			before, behind, _ := bytes.Cut(item, versionText)
			added.Head, added.Tail, added.Of = append(slices.Clip(before), versionKey...), behind, of[i]
		}
		b.Items = append(b.Items, added)
	}
	return nil
}

// placeholder stands for the version that is not known before the line is written.
const placeholder = math.MaxUint64

var (
	versionKey  = []byte(`"version":`)
	versionText = strconv.AppendUint(bytes.Clone(versionKey), placeholder, 10)
)

// Tell tells of lines that were kept.
func (l *Log) Tell(ctx context.Context, tenant string, lines []Line) {
	if l.Added != nil && len(lines) > 0 {
		l.Added(ctx, tenant, lines)
	}
}

func encode(line Line) ([]byte, error) {
	item, err := json.Marshal(line)
	if err == nil && len(item) > maxLine {
		line.Before, line.After = nil, nil
		item, err = json.Marshal(line)
	}
	if err != nil {
		return nil, fmt.Errorf("write a line of the audit: %w", err)
	}
	return item, nil
}

// Kinds are the kinds of what lines are about: the first part of Line.Of.
var Kinds = []string{
	"configuration", "connection", "delivery", "destination", "drop", "erasure", "event", "portal-link", "replay", "rule", "settings", "source", "tenant", "token", "vault", "webhook",
}

// settingKinds are the kinds of what a tenant sets, and changeVerbs how they change. Other lines are about acts: a replay, a login.
var (
	settingKinds = []string{"webhook", "connection", "source", "rule", "token", "tenant"}
	changeVerbs  = []string{"create", "update", "delete", "enable", "disable", "rotate", "revoke"}
)

// ChangesSettings reports whether the line is about a change of what a tenant sets.
func (l *Line) ChangesSettings() bool {
	kind, verb, _ := strings.Cut(l.Did, ".")
	return slices.Contains(settingKinds, kind) && slices.Contains(changeVerbs, verb)
}

// Lines returns at most n lines of a tenant, newest first, from the skip-th on.
func (l *Log) Lines(ctx context.Context, tenant string, skip, n int) ([]Line, error) {
	kept, err := l.Store.Kept(ctx, tenant, list, skip, n)
	if err != nil {
		return nil, fmt.Errorf("read the audit: %w", err)
	}
	lines := make([]Line, 0, len(kept))
	for _, item := range kept {
		var line Line
		if err := json.Unmarshal(item, &line); err == nil {
			lines = append(lines, line)
		}
	}
	return lines, nil
}
