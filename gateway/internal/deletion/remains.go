package deletion

import (
	"context"
	"errors"
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/notice"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// Remains deletes what the gateway itself keeps about a tenant besides what the tenant owns, so that a later tenant of the same id does
// not get it: tokens of its connections, what it was told, which sources capture, when its tokens were used, and portal links that were made
// while it was deleted. inFile leaves the tokens of connections, because a file may define the connections.
func Remains(ctx context.Context, store state.Settings, tenant string, inFile bool) error {
	kinds := []string{state.KindCapture, access.KindUsed, access.KindLink}
	if !inFile {
		kinds = append(kinds, vault.KindPlanted, oauth.KindToken)
	}
	for _, kind := range kinds {
		all, err := store.List(ctx, tenant, kind)
		if err != nil {
			return fmt.Errorf("list what is kept about a tenant: %w", err)
		}
		for _, s := range all {
			if err := remove(ctx, store, tenant, s); err != nil {
				return err
			}
		}
	}
	told, err := store.Get(ctx, Everyone, notice.Kind, tenant)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("find what a tenant was told: %w", err)
	}
	return remove(ctx, store, Everyone, told)
}

// remove deletes a setting. One that was changed meanwhile is an error: the caller tries again.
func remove(ctx context.Context, store state.Settings, tenant string, s state.Setting) error {
	if err := store.Delete(ctx, tenant, s.Kind, s.Name, s.Version); err != nil && !errors.Is(err, state.ErrNotFound) {
		return fmt.Errorf("delete what is kept about a tenant: %w", err)
	}
	return nil
}
