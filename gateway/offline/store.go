package offline

import (
	"path/filepath"

	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

// StoreCheck is the result of reading a complete embedded store.
type StoreCheck struct {
	Events     int `json:"events"`
	Outcomes   int `json:"outcomes"`
	Deliveries int `json:"deliveries"`
	Settings   int `json:"settings"`
	// Records and Bytes are the totals.
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"`
	// Unreadable counts events that cannot be decoded.
	Unreadable int `json:"unreadable"`
	// Damage describes what cannot be read, with a remedy. The other fields hold the counts up to that point.
	Damage string `json:"damage,omitempty"`
}

// CheckStore reads the complete embedded store in a data folder without changing it. It fails while a gateway uses the folder.
// seen is told now and then how many records were read.
func CheckStore(data string, seen func(records int)) (*StoreCheck, error) {
	c, err := embedded.Check(filepath.Join(data, "store"), seen)
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

// StoreRepair reports what a repair of an embedded store read, kept and lost.
type StoreRepair = embedded.Repaired

// ErrStoreWhole reports that a store is not damaged.
var ErrStoreWhole = embedded.ErrWhole

// RepairStore creates a new store from all readable data of the embedded store in a data folder, and replaces the damaged store, which
// is moved to quarantine-TIME in the data folder. It fails while a gateway uses the folder. It also fails if the store is not damaged,
// unless force is set. seen is told now and then what is done, and with how many records so far.
func RepairStore(data string, force bool, seen func(what string, records int)) (*StoreRepair, error) {
	return embedded.Repair(filepath.Join(data, "store"), force, seen)
}
