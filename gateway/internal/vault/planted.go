package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// KindPlanted is the kind of the settings that hold the first refresh tokens, by connection. Nothing but Plant and Reseal
// writes them. Reseal changes the version and the sealed text, but not the time.
const KindPlanted = "token-planted"

const fieldPlanted = "planted"

// Planted is a first refresh token that a person stored for a connection.
type Planted struct {
	Token []byte
	// At is when it was stored: a later time is another token.
	At time.Time
}

type plantedSetting struct {
	Planted string    `json:"planted"`
	At      time.Time `json:"at"`
}

// Plant stores a connection's first refresh token, in place of the one that was stored before.
func (v *Vault) Plant(ctx context.Context, tenant, connection string, p Planted) error {
	sealed, err := v.Seal(tenant, KindPlanted, connection, fieldPlanted, p.Token)
	if err != nil {
		return err
	}
	value, err := json.Marshal(plantedSetting{sealed, p.At.UTC()})
	if err != nil {
		return err
	}
	for range maxTries {
		setting, err := v.options.Store.Get(ctx, tenant, KindPlanted, connection)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return err
		}
		_, err = v.options.Store.Put(ctx, tenant, KindPlanted, connection, value, setting.Version)
		if !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("store the refresh token of %s: %w", connection, state.ErrConflict)
}

// Planted returns the refresh token that was stored for a connection. The error is state.ErrNotFound where there is none.
func (v *Vault) Planted(ctx context.Context, tenant, connection string) (Planted, error) {
	setting, err := v.options.Store.Get(ctx, tenant, KindPlanted, connection)
	if err != nil {
		return Planted{}, err
	}
	var kept plantedSetting
	if err := json.Unmarshal(setting.Value, &kept); err != nil {
		return Planted{}, fmt.Errorf("the stored refresh token of %s cannot be read: %w", connection, err)
	}
	token, err := v.Open(tenant, KindPlanted, connection, fieldPlanted, kept.Planted)
	return Planted{token, kept.At}, err
}
