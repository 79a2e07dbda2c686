package view

import (
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// RefreshToken is the first refresh token of a connection, as a caller gives it.
type RefreshToken struct {
	RefreshToken string `json:"refresh_token"`
}

// StoredToken says that the first refresh token of a connection was stored. It does not hold the token.
type StoredToken struct {
	Connection string `json:"connection"`
	Tenant     string `json:"tenant"`
	Product    string `json:"product"`
	Stored     Time   `json:"stored"`
}

// NewStoredToken makes the view of a refresh token that was stored at a time.
func NewStoredToken(d *config.Destination, at time.Time) StoredToken {
	return StoredToken{Connection: d.Name, Tenant: d.Tenant, Product: d.Product, Stored: Time{at}}
}

// Resealed is the result of sealing anew what is sealed with older keys.
type Resealed struct {
	// Current is the id of the key that everything is sealed with now.
	Current string `json:"current"`
	// Resealed counts the values that were sealed anew, Unopened those that do not open and so were left.
	Resealed int `json:"resealed"`
	Unopened int `json:"unopened"`
	// Needed are the ids of older keys that values still need, Unneeded those that can be removed.
	Needed   []string `json:"needed"`
	Unneeded []string `json:"unneeded"`
}

// NewResealed makes the view of a result.
func NewResealed(r *vault.Resealed) Resealed {
	return Resealed{
		Current: r.Current, Resealed: r.Values, Unopened: r.Unopened,
		Needed: append([]string{}, r.Needed...), Unneeded: append([]string{}, r.Unneeded...),
	}
}
