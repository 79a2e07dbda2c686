package access

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// First is the token that the first start makes if the configuration has none.
type First struct {
	// Text is the token itself, to be printed once; empty at every later start.
	Text string

	name   string
	tenant string
	scopes Scope
	sum    [sha256.Size]byte
	former *First
}

// Replacing returns the token together with its predecessor, which the store has lost: programs that use the predecessor
// are served until this process ends.
func (f *First) Replacing(former *First) *First {
	switch {
	case former == nil:
		return f
	case former.sum == f.sum:
		return former // with its own predecessors
	}
	both := *f
	both.former = former
	return &both
}

const (
	settingKind = "token"
	firstName   = "first"
)

// stored is the form of a token in the store: its hash, not its text.
type stored struct {
	SHA256 string   `json:"sha256"`
	Tenant string   `json:"tenant"`
	Scopes []string `json:"scopes"`
}

// OpenFirst finds the token of the first start, or makes it: tenant default, every scope, and the source `api`, since users
// put it into their own programs. If two gateways start at once on one store, one makes it and the other finds it.
func OpenFirst(ctx context.Context, store state.Settings) (*First, error) {
	first, err := findFirst(ctx, store)
	if !errors.Is(err, state.ErrNotFound) {
		return first, err
	}
	made := &First{
		Text: newSecret(),
		name: firstName, tenant: DefaultTenant, scopes: Every,
	}
	made.sum = sha256.Sum256([]byte(made.Text))
	value, err := json.Marshal(stored{SHA256: hex.EncodeToString(made.sum[:]), Tenant: made.tenant, Scopes: made.scopes.Names()})
	if err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	switch _, err := store.Put(ctx, DefaultTenant, settingKind, firstName, value, 0); {
	case err == nil:
		return made, nil
	case errors.Is(err, state.ErrConflict):
		return findFirst(ctx, store)
	default:
		return nil, fmt.Errorf("keep the first token: %w", err)
	}
}

func findFirst(ctx context.Context, store state.Settings) (*First, error) {
	setting, err := store.Get(ctx, DefaultTenant, settingKind, firstName)
	if err != nil {
		return nil, fmt.Errorf("find the first token: %w", err)
	}
	var k stored
	if err := json.Unmarshal(setting.Value, &k); err != nil {
		return nil, fmt.Errorf("read the first token: %w", err)
	}
	sum, err := hex.DecodeString(k.SHA256)
	if err != nil || len(sum) != sha256.Size {
		return nil, errors.New("read the first token: it is not kept as a SHA-256")
	}
	granted, err := Parse(k.Scopes)
	if err != nil {
		return nil, fmt.Errorf("read the first token: %w", err)
	}
	return &First{name: firstName, tenant: k.Tenant, scopes: granted, sum: [sha256.Size]byte(sum)}, nil
}
