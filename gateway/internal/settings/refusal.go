package settings

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// Errors of Book beside those of the store: each says which document was refused, and none was written.

// Refusals are why several changes were refused.
type Refusals []error

func (r Refusals) Error() string { return errors.Join(r...).Error() }

// Unwrap returns the errors.
func (r Refusals) Unwrap() []error { return r }

// err returns a single refusal as it is.
func (r Refusals) err() error {
	if len(r) == 1 {
		return r[0]
	}
	return r
}

// RefusedName returns the name of the document that an error refuses; empty if it is of the tenant as a whole.
func RefusedName(err error) string {
	var (
		faults  *FaultsError
		version *VersionError
		needed  *NeededError
		inFile  *InFileError
		owned   *OwnedError
	)
	switch {
	case errors.As(err, &faults):
		return faults.Name
	case errors.As(err, &version):
		return version.Name
	case errors.As(err, &needed):
		return needed.Name
	case errors.As(err, &inFile):
		return inFile.Name
	case errors.As(err, &owned):
		return owned.Name
	}
	return ""
}

// ErrNoDocument means that the tenant has no document of that name.
var ErrNoDocument = errors.New("no such document")

// ClosedError means that a change would keep a secret of the document that cannot be opened, and so would lose it. Its cause is
// vault.ErrNoKey where this gateway lacks the key, such as during the rotation of it.
type ClosedError struct {
	Name, Path string
	Err        error
}

func (e *ClosedError) Error() string {
	return fmt.Sprintf("the secret `%s` of `%s` cannot be opened here, and would be lost: %s; or send the change to a replica that has the key, or set the secret again in it",
		e.Path, e.Name, e.Err)
}

func (e *ClosedError) Unwrap() error { return e.Err }

// FaultsError means that a document does not compile.
type FaultsError struct {
	Name   string
	Faults document.Faults
}

func (e *FaultsError) Error() string { return e.Faults.Error() }

// VersionError means that a document has another version than the caller expected.
type VersionError struct {
	Name string
	// Version is the present one, 0 if there is no document, written by By at At.
	Version uint64
	By      string
	At      time.Time
	// None: the change was to be made only if there is no document.
	None bool
}

func (e *VersionError) Error() string {
	if e.Version == 0 {
		return "there is no `" + e.Name + "`"
	}
	return fmt.Sprintf("version %d was written by %s at %s", e.Version, e.By, e.At.UTC().Format(time.TimeOnly))
}

// NeededError means that other documents would no longer compile.
type NeededError struct {
	Name string
	// By are the names of those documents.
	By []string
}

func (e *NeededError) Error() string {
	return fmt.Sprintf("`%s` is needed as it is by %s: change those first", e.Name, strings.Join(e.By, ", "))
}

// InFileError means that a file of the configuration has the name.
type InFileError struct {
	Name string
	At   document.Position
}

func (e *InFileError) Error() string {
	return fmt.Sprintf("`%s` is defined in %s; change it there and reload", e.Name, e.At)
}

// OwnedError means that a document is locked for everybody but its owner.
type OwnedError struct{ Name, Owner string }

func (e *OwnedError) Error() string {
	return fmt.Sprintf("`%s` is managed by `%s`: change it there", e.Name, e.Owner)
}

// LimitError means that the tenant's plan has no room for another document of a kind.
type LimitError struct {
	// Kind is what is limited, in the plural; Most is how many the plan has, Have how many are there.
	Kind       string
	Most, Have int
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("this plan has %d %s, and %d are there", e.Most, e.Kind, e.Have)
}

// MaskError means that a masked value was sent at a place where it stands for nothing.
type MaskError struct {
	// Path leads to the value, as in config.Document.
	Path string
}

func (e *MaskError) Error() string {
	return "`" + e.Path + "` is a masked value, and not the one that is masked here; send the value itself"
}

// AddressError means that a secret that is kept by its mask would be sent to another server than before.
type AddressError struct {
	// Path leads to the secret, and Address to the setting that names the server.
	Path, Address string
	// Rule is the document that has the secret, if it is another one: rule/NAME.
	Rule string
}

func (e *AddressError) Error() string {
	if e.Rule != "" {
		return "`" + e.Address + "` names another server, to which `" + e.Path + "` of `" + e.Rule + "` would be sent; take it out of the rule first, and write it again then"
	}
	return "`" + e.Address + "` names another server, to which the masked value of `" + e.Path + "` would be sent; send the value itself, or leave the setting out"
}

// storeName returns the name of a document in positions.
func storeName(name string) string { return config.StorePrefix + name }
