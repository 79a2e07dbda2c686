package gateway

import (
	"path/filepath"

	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
)

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
