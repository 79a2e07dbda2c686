package offline

import (
	"path/filepath"

	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

// StoreCheck is what a whole reading of an embedded store found.
type StoreCheck struct {
	Events     int `json:"events"`
	Outcomes   int `json:"outcomes"`
	Deliveries int `json:"deliveries"`
	Settings   int `json:"settings"`
	// Records and Bytes count all that is kept.
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"`
	// Unreadable counts events that cannot be decoded.
	Unreadable int `json:"unreadable"`
	// Damage says what cannot be read and what to do; what was counted until then is in the other fields.
	Damage string `json:"damage,omitempty"`
}

// CheckStore reads all of the embedded store in a data folder and changes nothing. It is refused while a gateway runs there.
func CheckStore(data string) (*StoreCheck, error) {
	c, err := embedded.Check(filepath.Join(data, "store"))
	if c == nil {
		return nil, err
	}
	out := &StoreCheck{
		Events: c.Events, Outcomes: c.Outcomes, Deliveries: c.Deliveries, Settings: c.Settings,
		Records: c.Records, Bytes: c.Bytes, Unreadable: c.Unreadable,
	}
	if err != nil {
		out.Damage = err.Error()
	}
	return out, nil
}

// StoreRepair is what a repair of an embedded store read, carried over and left out.
type StoreRepair = embedded.Repaired

// ErrStoreWhole says that nothing in a store is damaged.
var ErrStoreWhole = embedded.ErrWhole

// RepairStore makes a new store of what can be read in a data folder's embedded store, puts it in its place, and moves the
// damaged one into a folder quarantine-TIME of the data folder. It is refused while a gateway runs there, and where nothing
// is damaged unless force says otherwise.
func RepairStore(data string, force bool) (*StoreRepair, error) {
	return embedded.Repair(filepath.Join(data, "store"), force)
}
