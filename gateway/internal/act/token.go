package act

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// maxToken bounds a refresh token in bytes. RFC 6749 sets no limit; those of known products have less than 2 KiB.
const maxToken = 16 << 10

// PlantToken stores the first refresh token of a connection, from which the gateway fetches access tokens from now on, and
// returns when. A hold for refused credentials ends: its deliveries are sent with the new token.
func (a *Actor) PlantToken(ctx context.Context, d *config.Destination, token string) (time.Time, error) {
	if d.Broken {
		return time.Time{}, &InvalidError{"name", fmt.Sprintf("the settings of `%s` have a fault: correct them first", d.Name)}
	}
	switch auth, fetches := connectors.TokenOf(d.Alone); {
	case !fetches:
		return time.Time{}, &InvalidError{"name", fmt.Sprintf("`%s` sends to %s, for which no token is fetched", d.Name, d.Product)}
	case auth.Grant != connectors.GrantRefreshToken:
		return time.Time{}, &InvalidError{"name", fmt.Sprintf("the token of `%s` is fetched with the grant %s, which needs no refresh token", d.Name, auth.Grant)}
	}
	if len(token) > maxToken {
		return time.Time{}, &InvalidError{"refresh_token", fmt.Sprintf("the refresh token has more than %d KiB", maxToken>>10)}
	}
	if err := connectors.CheckSecret(connectors.NewSecret(token)); err != nil {
		return time.Time{}, &InvalidError{"refresh_token", "the refresh token " + err.Error()}
	}
	now := a.options.Clock.Now().UTC()
	if err := a.options.Vault.Plant(ctx, d.Tenant, d.Name, vault.Planted{Token: []byte(token), At: now}); err != nil {
		return time.Time{}, err
	}
	return now, a.liftRevoked(ctx, d)
}

// liftRevoked lifts a destination's hold for refused credentials. Any other hold stays.
func (a *Actor) liftRevoked(ctx context.Context, d *config.Destination) error {
	holds, err := a.options.Store.Holds(ctx, d.Tenant)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.Destination != d.Name || h.Hold.Kind != state.HoldRevoked {
			continue
		}
		if err := a.options.Store.Hold(ctx, d.Tenant, d.Name, state.Hold{}, &h.Hold); err != nil && !errors.Is(err, state.ErrConflict) {
			return err
		}
		a.options.HoldsChanged(ctx)
	}
	return nil
}
