// Package state is the one interface to what the gateway keeps: events, what is owed, what happened,
// settings and statistics. Engines stand below it; statetest is the suite that each of them passes.
//
// Every method is safe for concurrent use and takes a tenant, or its comment says why not. A call that
// returned without error is as durable as the engine promises.
package state

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

// Errors that callers branch on; engines wrap them.
var (
	// ErrNotFound: nothing of that name or id for this tenant.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the version is no longer the newest, or a lease is somebody else's.
	ErrConflict = errors.New("changed meanwhile")
	// ErrUnavailable: the engine cannot make anything durable now (full, read-only, gone). Nothing was accepted.
	ErrUnavailable = errors.New("store unavailable")
	// ErrInvalid: what was given can never be applied, however often it is tried: an id that leads to another event, a
	// delivery without destination or state. Nothing of the call was applied.
	ErrInvalid = errors.New("invalid")
	// ErrCursor: the cursor is not one that this list gave.
	ErrCursor = errors.New("not a cursor of this list")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")
)

// Store is what an engine does.
type Store interface {
	Intake
	Deliveries
	Reader
	Settings
	Upkeep
	// Close releases what is held without counting those claims, and makes everything durable.
	Close() error
}

// Breaker is implemented by engines that may break for good, as one does whose disk fails: only another start mends it.
type Breaker interface {
	// Broken is closed when the store has broken; Close then says why.
	Broken() <-chan struct{}
}

// Emptier is implemented by engines whose data others can take away while the store is in use.
type Emptier interface {
	// Emptied receives when that was noticed: what the gateway itself keeps in the store has to be put into it again.
	Emptied() <-chan struct{}
}

// Compacter is implemented by engines whose files hold values that were overwritten until those files are rewritten.
type Compacter interface {
	// CompactSettings rewrites the files that hold a kind of a tenant's settings, without the overwritten values.
	CompactSettings(ctx context.Context, tenant, kind string) error
}

// Intake is the way from an accepted event to its committed decision.
type Intake interface {
	// Append makes events durable and reports one result per event. Events carry their tenant. Events of one response
	// keep the order of the call; engines of one shard keep it for all, those of several keep the events of one dedupe key
	// together before those of one response. Concurrent calls share writes. Two of one id,
	// also within one call, are duplicates of the first; so is one of which a better id is known (event.Header.StrongerIDs).
	// An error means that the call is not accepted, though an engine of several shards may keep some of its events:
	// given again, those are duplicates of themselves, and nothing is kept twice.
	Append(ctx context.Context, events []*event.Event) ([]Appended, error)

	// Claim waits until there are events nobody holds, or ctx ends, and holds up to max of them or the first
	// that exceeds bytes, for all tenants: one loop serves them all. Events of one response come oldest first; engines
	// of one shard claim all in that order.
	// Events whose holder died are claimed again, which raises Claimed.Claims. Those that MaxBatchClaims claims have ended for
	// in this way are suspects: one of them may kill whoever holds it. Claim passes them over.
	Claim(ctx context.Context, max, bytes int) ([]Claimed, error)

	// ClaimSuspect holds one suspect, so that no other is counted when it kills this process: that with the fewest claims,
	// and of several the oldest, so that a crash loop which no event causes is shared by all. It never waits. Nil: there is
	// none, Claim has not passed it yet, or this holder has one already. With several shards the order is that of each.
	ClaimSuspect(ctx context.Context) (*Claimed, error)

	// Commit applies outcomes of events and of due deliveries in one atomic step, for all tenants; with several shards
	// it is one step for each. After an error the same Commit is given again until there is none: what was applied then
	// is not applied twice, and its fences read as they were.
	// The store sets Updated of each delivery, and Created where it is zero.
	// Each is applied only if its fence holds: the event still held by this holder's claim, the delivery's due time
	// still its lease. Events are applied before Due, so one Commit may hand a delivery over and settle it.
	// Attempts behind a lost fence still enter history, marked Repeat.
	Commit(ctx context.Context, c *Commit) (*Committed, error)

	// Once reserves each key for its owner, for ttl, and says who owns it: the first to ask.
	// Asking again for one's own key says so again. A ttl of 0 reserves nothing: the owner of a key that nobody has is empty.
	Once(ctx context.Context, tenant string, keys []OnceKey, ttl time.Duration) (owners []string, err error)
}

// CheckEvents checks what Append is given.
func CheckEvents(events []*event.Event) error {
	for _, ev := range events {
		if ev.Tenant == "" || ev.ID == "" {
			return fmt.Errorf("%w: event %q of tenant %q: tenant and id are required", ErrInvalid, ev.ID, ev.Tenant)
		}
	}
	return nil
}

// Appended is what became of one event.
type Appended struct {
	Duplicate bool
	// Position orders events; it is that of the first where Duplicate and it is still kept, else 0.
	Position uint64
	// OriginalID is the id of the first where Duplicate and that is another than the event's own: a better proved one's.
	OriginalID string
}

// ID is the id that an event is kept under.
func (a Appended) ID(ev *event.Event) string {
	if a.OriginalID != "" {
		return a.OriginalID
	}
	return ev.ID
}

// Claimed is an event held by this process.
type Claimed struct {
	Event    *event.Event
	Position uint64
	// Claims counts the claims that ended without a commit or a release, this one included: 1 at first.
	Claims int
}

// MaxBatchClaims is how many claims of an event may end without a commit or a release while others are held with it. Each
// further claim is by ClaimSuspect.
const MaxBatchClaims = 2

// IsSuspect reports whether an event may only be claimed alone, of which so many claims ended without a commit or a release.
func IsSuspect(ended int) bool { return ended >= MaxBatchClaims }

// OnceKey is a thing that happens once, and the event it may happen for.
type OnceKey struct{ Key, Owner string }

// Commit is what is applied in one step.
type Commit struct {
	Events []Outcome
	Due    []Settled
}

// Outcome is one event's decision and what became of its deliveries so far. It is the record that
// explanations begin with and the index from an event to its deliveries.
type Outcome struct {
	Position uint64
	Tenant   string
	EventID  string
	// Release hands the event back undecided and uncounted (a drain); nothing else is read then.
	Release bool
	// Dead makes the event itself a dead letter, for this reason.
	Dead string
	// Generation is the content hash of the configuration that decided.
	Generation string
	// At is when it was decided.
	At time.Time
	// Rules are those that matched or erred; every other one is recomputed when asked for.
	Rules []RuleOutcome
	// Deliveries are all that the event owes: finished ones, and Waiting ones that go into the due-queue.
	Deliveries []Delivery
	// Free gives back keys of Once that were reserved and not used.
	Free []string
}

// RuleOutcome is one rule or webhook that matched, or whose condition failed.
type RuleOutcome struct {
	Origin Origin
	Err    string // empty: it matched
}

// Settled is a due delivery after its attempt: finished, waiting again (Delivery.Due), or untouched.
type Settled struct {
	Delivery Delivery
	// Lease is the due time its holder got.
	Lease time.Time
	// Free gives back a key of Once that was reserved and not used.
	Free []string
}

// Committed says which fences held, in the order of the Commit.
type Committed struct {
	Events []bool
	Due    []bool
}

// Deliveries is the due-queue and its holds. Times are the caller's: an engine keeps how long it is until then, and judges
// that by a time of its own that never goes back, so that a clock which is set delays nothing and ends no lease early.
type Deliveries interface {
	// ClaimDue leases deliveries whose time has come, going round tenants and destinations so that no backlog
	// starves another, and no destination without room holds up another. It never waits. Next is when to ask again; zero
	// when nothing waits. What a holder has leased is due again at the lease's end, or when the holder stops or dies: as
	// soon as its events can be claimed again.
	ClaimDue(ctx context.Context, ask ClaimDue) (due []Due, next time.Time, err error)

	// Schedule puts deliveries into the due-queue, without their event's claim: replay, retry now. A delivery that
	// waits or is dead is moved to its new due time, and only that and its reason are read; one that is leased is left
	// alone, and its result is false. So is that of a delivery whose event is gone, or not committed yet, and of one
	// that ended meanwhile and is given without a destination, by its id alone. All attempts so far are Forgiven.
	Schedule(ctx context.Context, tenant string, deliveries []Delivery) ([]bool, error)

	// Revise makes the next revision of a committed event the one that counts, in one step with all that follows from it:
	// readers, lists and indexes see its content, Event tells of the former ones, its deliveries wait and those it takes
	// the place of have ended. The raw bytes stay as they are. A dead letter is none any more.
	// ErrConflict: the event is not committed yet, the revision kept is not the one before, or somebody has one of Ended;
	// ErrNotFound: the event is gone. After either nothing was done.
	Revise(ctx context.Context, tenant string, r *Revision) error

	// Hold keeps a destination from being claimed until a time, in one write however much waits.
	// A zero Hold lifts it. Who decided by what stood puts it on over that alone: where another stands by now, which
	// somebody put on meanwhile, that one stays and the error is ErrConflict. nil is over whatever stands. One that is
	// over stands no more.
	Hold(ctx context.Context, tenant, destination string, h Hold, over *Hold) error

	// Holds are the destinations on hold; tenant "*" is all, for the loop that serves them all.
	Holds(ctx context.Context, tenant string) ([]DestinationOnHold, error)

	// Backlogs are what waits for the destinations of a tenant that are named, in their order: one for each, also where
	// nothing waits. It costs a few reads for each, however much waits.
	Backlogs(ctx context.Context, tenant string, destinations []string) ([]Backlog, error)

	// Drop ends a waiting or dead delivery; one that is leased is ErrConflict. Given an event's id, it takes that event
	// out of the dead letters; its outcome goes on saying why it was one.
	Drop(ctx context.Context, tenant, id string) error
}

// Backlog is what waits for one destination, those included that are being delivered now.
type Backlog struct {
	Destination string
	Waiting     int
	// Oldest is when the oldest of it was owed; zero where nothing waits.
	Oldest time.Time
}

// Revision is the next revision of a committed event, with what it owes.
type Revision struct {
	// Event is the next revision of the one that is kept (event.Revise).
	Event *event.Event
	// Generation, At and Rules are its decision, as in Outcome.
	Generation string
	At         time.Time
	Rules      []RuleOutcome
	// Deliveries go into the due-queue. Their ids are new; the store sets Revision.
	Deliveries []Delivery
	// Ended are ids of waiting or dead deliveries of earlier revisions which this one takes the place of. They end as
	// Dropped, for the reason Superseded.
	Ended []string
}

// SupersededBy begins why a delivery ended that a revision took the place of.
const SupersededBy = "superseded by revision "

// Superseded is why deliveries ended that a revision took the place of.
func Superseded(revision int) string { return SupersededBy + strconv.Itoa(revision) }

// MaxFormer is how many former revisions are kept of an event: the newest ones, and the first, as it was taken in.
const MaxFormer = 8

// TrimFormer removes what is more than MaxFormer of an event's former revisions, oldest first, to which one was added. It
// changes the slice's array.
func TrimFormer[F any](all []F) []F {
	if len(all) > MaxFormer {
		all = slices.Delete(all, 1, 2)
	}
	return all
}

// ClaimDue is what a loop has room for.
type ClaimDue struct {
	Max   int
	Bytes int
	// Lease is how long the holder may take: the longest timeout and 5 s.
	Lease time.Duration
	// Capacity is how many deliveries a destination may get now; nil is no bound.
	Capacity func(tenant, destination string) int
}

// Due is a delivery leased to this holder, with its event.
type Due struct {
	Delivery Delivery
	Event    *event.Event
	Lease    time.Time
}

// HoldKind is why a destination is not served.
type HoldKind string

// The kinds of hold. Circuit and Rate end by themselves; Revoked and Gone when Fingerprint changes; Paused by hand.
const (
	HoldCircuit HoldKind = "circuit"
	HoldRate    HoldKind = "rate"
	HoldRevoked HoldKind = "revoked"
	HoldGone    HoldKind = "gone"
	HoldPaused  HoldKind = "paused"
)

// Hold keeps a destination from being served.
type Hold struct {
	Kind   HoldKind
	Reason string
	// Until is when it ends by itself; zero is never.
	Until time.Time
	// Fingerprint is a keyed hash of the credentials, or of the URL, that it was put on for.
	Fingerprint string
	Since       time.Time
}

// DestinationOnHold is a destination that is on hold, with the number of deliveries that wait for it.
type DestinationOnHold struct {
	Tenant, Destination string
	Hold                Hold
	Waiting             int
}

// SortOnHold sorts by tenant and destination.
func SortOnHold(all []DestinationOnHold) {
	slices.SortFunc(all, func(a, b DestinationOnHold) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Destination, b.Destination))
	})
}
