package embedded

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/surveygate/surveygate/gateway/internal/clock"
)

// Repaired is the report of a repair: what it read, copied and left out.
type Repaired struct {
	// Events, Deliveries, History, Settings and Records count records of the new store.
	Events     int `json:"events"`
	Deliveries int `json:"deliveries"`
	History    int `json:"history"`
	Settings   int `json:"settings"`
	Records    int `json:"records"`
	// Pending counts events without a readable outcome: they are decided and delivered, perhaps a second time.
	Pending int `json:"pending"`
	// LostEvents are positions of events that cannot be read. LostByTenant counts those whose tenant is known.
	LostEvents   []Positions    `json:"lost_events,omitempty"`
	LostByTenant map[string]int `json:"lost_by_tenant,omitempty"`
	// LeftOut counts, by kind, readable records that belong to unreadable ones.
	LeftOut map[string]int `json:"left_out,omitempty"`
	// Damage describes what cannot be read.
	Damage []string `json:"damage,omitempty"`
	// Quarantine is where the damaged store is.
	Quarantine string `json:"quarantine"`
}

// Positions is a range of positions, both ends included.
type Positions struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// ErrWhole is the error of Repair, without force, for a store that is not damaged.
var ErrWhole = errors.New("nothing in the store is damaged: there is nothing to repair")

// reportName is the file with the report in a new store. A folder that has it is complete.
const reportName = "repaired.json"

// workFolder is where a repair makes the new store for a folder.
func workFolder(dir string) string { return dir + ".repair" }

// Repair makes a new store from what can be read of a damaged one, and puts it in the place of the damaged one. That is only
// read, and then moved into a folder quarantine-TIME next to it. With force it also repairs a store without damage.
//
// It can be killed at any time: the damaged store stays in place until the new one is complete, and after that point the next
// repair finishes the rest. seen (may be nil) is told now and then what is done, and with how many records so far.
func Repair(dir string, force bool, seen func(what string, records int)) (*Repaired, error) {
	dir = filepath.Clean(dir)
	work := workFolder(dir)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		report, err := readReport(work)
		if err != nil {
			return nil, fmt.Errorf("%s does not exist, and there is no finished repair of it in %s: %w", dir, work, err)
		}
		return report, moveIn(work, dir)
	}
	if !force {
		if c, err := Check(dir, seeing(seen, "checked")); c == nil {
			return nil, err
		} else if err == nil {
			return nil, ErrWhole
		}
	}
	folder := filepath.Join(dir, "events")
	if _, err := os.Stat(filepath.Join(folder, "LOCK")); err != nil {
		return nil, fmt.Errorf("%s holds no store of the embedded engine: want the data folder of a gateway: %w", dir, err)
	}
	lock, err := lockFolder(folder, vfs.Default)
	if err != nil {
		return nil, fmt.Errorf("repair store %s: %w", dir, err)
	}
	defer func() { _ = lock.Close() }()
	if err := os.RemoveAll(work); err != nil {
		return nil, fmt.Errorf("repair store: remove what an interrupted repair left: %w", err)
	}
	report, err := rebuildStore(dir, work, seen)
	if err != nil {
		return nil, fmt.Errorf("repair store %s: %w; nothing was changed", dir, err)
	}
	parent := filepath.Dir(dir)
	quarantine := filepath.Join(parent, "quarantine-"+clock.System().Now().UTC().Format("20060102T150405.000Z"))
	report.Quarantine = filepath.Join(quarantine, filepath.Base(dir))
	if err := writeReport(work, report); err != nil {
		return nil, fmt.Errorf("repair store: %w; nothing was changed", err)
	}
	if err := os.Mkdir(quarantine, 0o700); err != nil {
		return nil, fmt.Errorf("repair store: %w; nothing was changed", err)
	}
	if err := errors.Join(syncDir(vfs.Default, work), syncDir(vfs.Default, parent)); err != nil {
		return nil, fmt.Errorf("repair store: %w; nothing was changed", err)
	}
	if err := os.Rename(dir, report.Quarantine); err != nil {
		return nil, fmt.Errorf("repair store: %w; nothing was changed", err)
	}
	if err := errors.Join(syncDir(vfs.Default, quarantine), syncDir(vfs.Default, parent)); err != nil {
		return nil, fmt.Errorf("repair store: the damaged store is in %s; repair once more to finish: %w", report.Quarantine, err)
	}
	return report, moveIn(work, dir)
}

// moveIn moves the new store to the folder of the former one, which no longer exists.
func moveIn(work, dir string) error {
	if err := os.Rename(work, dir); err != nil {
		return fmt.Errorf("put the repaired store in its place: %w", err)
	}
	return syncDir(vfs.Default, filepath.Dir(dir))
}

// checkUnfinished returns an error if a repair was interrupted between moving the damaged store away and moving the new one
// in. A start at that point would begin with an empty store.
func checkUnfinished(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		return nil
	}
	dir = filepath.Clean(dir)
	all, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "quarantine-*", filepath.Base(dir)))
	if err != nil || len(all) == 0 {
		return nil
	}
	return fmt.Errorf("%s does not exist, and %s is a damaged store that was moved away: finish the repair with `surveygate store repair`; "+
		"to begin with an empty store, move the quarantine elsewhere", dir, all[len(all)-1])
}

// rebuildStore makes a new store in work from what can be read of the one in dir.
func rebuildStore(dir, work string, seen func(what string, records int)) (report *Repaired, err error) {
	copied := filepath.Join(work, "damaged")
	if err := os.MkdirAll(copied, 0o700); err != nil {
		return nil, err
	}
	report = &Repaired{LeftOut: map[string]int{}, LostByTenant: map[string]int{}}
	if err := report.copyFiles(filepath.Join(dir, "events"), copied); err != nil {
		return nil, err
	}
	if err := copyFile(filepath.Join(dir, "respondents.key"), filepath.Join(work, "respondents.key")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	from, err := pebble.Open(copied, &pebble.Options{
		ReadOnly: true, Logger: quietLogger{}, FormatMajorVersion: pebble.FormatNewest,
		EventListener: &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}, BackgroundError: func(error) {}}, // errors are returned
	})
	if err != nil {
		return nil, fmt.Errorf("its list of tables or a whole table is damaged, which cannot be repaired; put a backup of the folder in its place: %w", err)
	}
	err = report.rebuild(&salvage{db: from, report: report, seen: seeing(seen, "read from the damaged store")}, work)
	if err = errors.Join(err, from.Close()); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(copied); err != nil { // links and copies
		return nil, err
	}
	c, err := Check(work, seeing(seen, "checked in the new store"))
	if err != nil {
		return nil, fmt.Errorf("the new store cannot be read: %w", err)
	}
	report.Records = c.Records
	return report, nil
}

// seeing is seen for one part of a repair.
func seeing(seen func(what string, records int), what string) func(records int) {
	if seen == nil {
		return nil
	}
	return func(records int) { seen(what, records) }
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}

func writeReport(work string, r *Repaired) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(work, reportName)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func readReport(work string) (*Repaired, error) {
	text, err := os.ReadFile(filepath.Join(work, reportName))
	if err != nil {
		return nil, err
	}
	r := &Repaired{}
	return r, json.Unmarshal(text, r)
}
