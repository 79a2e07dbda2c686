// Package state is the one interface to everything the gateway keeps: events, deliveries, history, settings and
// statistics. The engines below it implement it; statetest is the suite that each of them passes.
//
// The package also holds the rules that both engines share: ids of deliveries, validity of arguments, which record a query
// selects, and the codes of words in records. A new state of deliveries is added here, in delivery.go and record.go.
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
	// ErrNotFound: the tenant has nothing of that name or id.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the version is no longer the newest, or another holder has the lease.
	ErrConflict = errors.New("changed meanwhile")
	// ErrUnavailable: the engine cannot make anything durable now (disk full, read-only, unreachable). Nothing was accepted.
	ErrUnavailable = errors.New("store unavailable")
	// ErrInvalid: the arguments can never be applied: an id that leads to another event, a delivery without destination or
	// state. Nothing of the call was applied.
	ErrInvalid = errors.New("invalid")
	// ErrCursor: the cursor was not made by this list.
	ErrCursor = errors.New("not a cursor of this list")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("store closed")
)

// StopsAll reports whether an error about one of many things means that the others fail too: the store is unavailable or
// closed, another holder has the lease, or the caller has gone. Other errors are about that one thing: work on many goes on.
func StopsAll(err error) bool {
	for _, of := range [...]error{ErrUnavailable, ErrClosed, ErrConflict, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, of) {
			return true
		}
	}
	return false
}

// Store is an engine.
type Store interface {
	Intake
	Deliveries
	Reader
	Settings
	Upkeep
	Erasing
	// Close releases all claims of this process without counting them, and makes everything durable.
	Close() error
}

// Breaker is implemented by engines that can fail permanently, for instance because their disk fails. Only a restart helps.
type Breaker interface {
	// Broken is closed when the store has failed; Close then returns the reason.
	Broken() <-chan struct{}
}

// Emptier is implemented by engines whose data can be deleted from outside while the store is in use.
type Emptier interface {
	// Emptied receives when the engine has noticed such a deletion. The gateway then has to write its own settings again.
	Emptied() <-chan struct{}
	// PutBack writes a setting that was lost with the others. ErrConflict: there is one, or it was written and deleted since then.
	PutBack(ctx context.Context, tenant, kind, name string, value []byte) error
}

// Compacter is implemented by engines whose files keep overwritten values until those files are rewritten.
type Compacter interface {
	// CompactSettings rewrites the files that hold a kind of a tenant's settings, without the overwritten values.
	CompactSettings(ctx context.Context, tenant, kind string) error
	// CompactErased rewrites the files that held the content of erased events of a tenant and items of lists that were removed,
	// and empties the logs of writes that have them. When it returns without error, no file of the store has them.
	CompactErased(ctx context.Context, tenant string, ids, lists []string) error
}

// Intake is the way from an accepted event to its committed decision.
type Intake interface {
	// Append makes events durable and reports one result per event. Events carry their tenant. Concurrent calls share writes.
	//
	// Order: events of one response keep the order of the call. An engine with one shard keeps it for all events; one with
	// several shards keeps the events of one dedupe key in one shard, and only then those of one response.
	//
	// Duplicates: the second event with an id, also within one call, is a duplicate of the first. So is an event for which a
	// better id is known (event.Header.StrongerIDs).
	//
	// An error means that the call is not accepted, although an engine with several shards may have kept some of its events.
	// When the call is repeated those are duplicates of themselves, and nothing is kept twice.
	Append(ctx context.Context, events []*event.Event) ([]Appended, error)

	// Claim waits until there are unclaimed events, or ctx ends. It claims up to max of them, or up to the first that
	// exceeds bytes, of all tenants: one loop serves them all. Events of one response come oldest first; engines with one
	// shard claim all events in that order.
	//
	// Events whose holder died are claimed again, which raises Claimed.Claims. An event that lost MaxBatchClaims claims in
	// this way is a suspect: it may crash every process that claims it. Claim leaves suspects to ClaimSuspect.
	Claim(ctx context.Context, max, bytes int) ([]Claimed, error)

	// ClaimSuspect claims one suspect alone, so that no other event's claims are counted if it crashes this process. It
	// takes the suspect with the fewest claims, the oldest of several, so that a crash loop which no event causes is spread
	// over all suspects. With several shards that order holds within each shard. It never waits. It returns nil if there is
	// no suspect, if Claim has not reached it yet, or if this holder has claimed one already.
	ClaimSuspect(ctx context.Context) (*Claimed, error)

	// Commit applies outcomes of events and of due deliveries in one atomic step, for all tenants; with several shards it
	// is one step per shard. After an error the caller repeats the same Commit until it succeeds: parts that were applied
	// before are not applied twice, and their fences read as they did.
	//
	// An outcome is applied only if its fence holds: the event is still claimed by this holder, the due time of the
	// delivery is still its lease. Attempts behind a lost fence still enter history, marked Repeat. Events are applied
	// before Due, so one Commit may hand a delivery over and settle it.
	//
	// The store sets Updated of each delivery, and Created where it is zero.
	Commit(ctx context.Context, c *Commit) (*Committed, error)

	// Once reserves each key for its owner, for ttl, and returns the owner of each key: the first who asked. An owner that
	// asks again is returned again. With a ttl of 0 it reserves nothing, and a key without owner returns an empty one.
	Once(ctx context.Context, tenant string, keys []OnceKey, ttl time.Duration) (owners []string, err error)
}

// CheckEvents checks the arguments of Append.
func CheckEvents(events []*event.Event) error {
	for _, ev := range events {
		if ev.Tenant == "" || ev.ID == "" {
			return fmt.Errorf("%w: event %q of tenant %q: tenant and id are required", ErrInvalid, ev.ID, ev.Tenant)
		}
	}
	return nil
}

// Appended is the result of appending one event.
type Appended struct {
	Duplicate bool
	// Position orders events. For a duplicate it is the position of the first event if that is still kept, else 0.
	Position uint64
	// OriginalID is the id of the first event, if a duplicate has another id: the first one was better proved.
	OriginalID string
}

// ID returns the id under which the event is kept.
func (a Appended) ID(ev *event.Event) string {
	if a.OriginalID != "" {
		return a.OriginalID
	}
	return ev.ID
}

// Claimed is an event between its claim and its commit, claimed by this process.
type Claimed struct {
	Event    *event.Event
	Position uint64
	// Claims counts the claims that ended without a commit or a release, including this one: 1 at the first claim.
	Claims int
}

// MaxBatchClaims is how many claims of an event together with others may end without a commit or a release. Each further
// claim is made by ClaimSuspect.
const MaxBatchClaims = 2

// IsSuspect reports whether an event may only be claimed alone, given how many of its claims ended without a commit or a
// release.
func IsSuspect(ended int) bool { return ended >= MaxBatchClaims }

// OnceKey is the key of something that happens once, and the event that it may happen for.
type OnceKey struct{ Key, Owner string }

// Commit is what is applied in one step.
type Commit struct {
	Events []Outcome
	Due    []Settled
}

// Outcome is the decision about one event, with the state of its deliveries so far. Explanations begin with it, and it is
// the index from an event to its deliveries.
type Outcome struct {
	Position uint64
	Tenant   string
	EventID  string
	// Release gives the event back undecided, without counting the claim, as a drain does. All other fields are ignored.
	Release bool
	// Dead makes the event itself a dead letter, for this reason.
	Dead string
	// Generation is the content hash of the configuration that decided.
	Generation string
	// At is when it was decided.
	At time.Time
	// Rules are those that matched or failed; the results of all others are recomputed on demand.
	Rules []RuleOutcome
	// Deliveries are all deliveries of the event: finished ones, and Waiting ones, which go into the due-queue.
	Deliveries []Delivery
	// Free are reserved keys of Once that were not used; they become free again.
	Free []string
}

// RuleOutcome is one rule or webhook that matched, or whose condition failed.
type RuleOutcome struct {
	Origin Origin
	Err    string // empty: it matched
}

// Settled is a due delivery after its attempt: finished, waiting again (until Delivery.Due), or unchanged.
type Settled struct {
	Delivery Delivery
	// Lease is the due time that its holder was given.
	Lease time.Time
	// Free are reserved keys of Once that were not used; they become free again.
	Free []string
}

// Committed reports which fences held, in the order of the Commit.
type Committed struct {
	Events []bool
	Due    []bool
}

// Deliveries is the due-queue and its holds. Times are by the caller's clock. An engine stores the time that is left until
// then, and measures it by a clock of its own that never goes back: setting the clock delays nothing and ends no lease early.
type Deliveries interface {
	// ClaimDue leases deliveries that are due. It goes round tenants and destinations, so that no backlog starves another
	// and no destination without capacity delays another. It never waits. next is when to ask again, zero if nothing waits.
	// A leased delivery is due again when the lease ends, or when its holder stops or dies: as soon as the events of that
	// holder can be claimed again.
	ClaimDue(ctx context.Context, ask ClaimDue) (due []Due, next time.Time, err error)

	// Schedule puts deliveries into the due-queue without a claim of their event: replay, retry now. All their attempts so
	// far become Forgiven. A delivery that waits or is dead is moved to its new due time; only that and the reason are read.
	// The result is false, and the delivery is left alone, if it is leased, if its event is no longer kept or not committed
	// yet, or if it ended meanwhile and is given by its id alone, without a destination.
	Schedule(ctx context.Context, tenant string, deliveries []Delivery) ([]bool, error)

	// Revise replaces the content of a committed event by its next revision, in one step with all consequences: readers,
	// lists and indexes see the new content, Event lists the former revisions, the new deliveries wait, and the deliveries
	// that they replace have ended. The raw bytes stay. If the event was a dead letter, it is one no longer.
	//
	// ErrConflict: the event is not committed yet, the revision kept is not the previous one, or one of Ended is leased.
	// ErrNotFound: the event is no longer kept. After either error nothing has changed.
	Revise(ctx context.Context, tenant string, r *Revision) error

	// Hold puts a destination on hold until a time: its deliveries are not claimed. That is one write, however many wait.
	// A zero Hold lifts the hold. A caller that decided by the hold it saw passes it as over: if another hold is in force by
	// now, that one stays and the error is ErrConflict. With a nil over any hold is replaced. A hold whose time is over is
	// no longer in force.
	Hold(ctx context.Context, tenant, destination string, h Hold, over *Hold) error

	// Holds returns the destinations on hold; tenant "*" means all tenants, for the loop that serves them all.
	Holds(ctx context.Context, tenant string) ([]DestinationOnHold, error)

	// Forget removes a destination that no configuration has: its hold, and its place in all indexes. ErrConflict: deliveries
	// wait for it, leased ones included; the error says how many, and nothing has changed. It returns false, and has changed
	// nothing, while dead letters or history of it are kept: they stay readable until retention removes them. With a delivery
	// that is owed to it later, the destination is there again; none is lost that is owed at the same moment. A caller that
	// decided by the hold it saw passes it as over, as for Hold: if another hold is in force by now, the error is ErrConflict.
	//
	// Trim forgets every destination without deliveries, dead letters, history and hold. So Forget is for those with a hold,
	// which may be one of a configured destination that nothing was owed to yet: only the caller knows the configuration.
	Forget(ctx context.Context, tenant, destination string, over *Hold) (bool, error)

	// Standing returns the standing of each named destination of a tenant, in their order, also of those that the store does
	// not know. With nil it returns those of all destinations that the store knows, by name: those with deliveries, dead
	// letters, history or a hold. A destination costs a few reads, however many deliveries wait.
	Standing(ctx context.Context, tenant string, destinations []string) ([]Standing, error)

	// Drop ends a waiting or dead delivery; ErrConflict: it is leased. With the id of an event it removes that event from the
	// dead letters; the outcome keeps the reason why it was one.
	Drop(ctx context.Context, tenant, id string) error
}

// Standing is the state of a destination: what waits for it, what has failed, and what holds it.
type Standing struct {
	Destination string
	// Waiting counts the waiting deliveries, including those that are being delivered now; OldestWaiting is when the oldest of
	// them was created, zero if nothing waits.
	Waiting       int
	OldestWaiting time.Time
	// Dead counts the dead letters.
	Dead int
	// Hold is the hold in force; zero if there is none.
	Hold Hold
}

// Revision is the next revision of a committed event, with its deliveries.
type Revision struct {
	// Event is the next revision of the one that is kept (event.Revise).
	Event *event.Event
	// Generation, At and Rules are its decision, as in Outcome.
	Generation string
	At         time.Time
	Rules      []RuleOutcome
	// Deliveries go into the due-queue. Their ids are new; the store sets Revision.
	Deliveries []Delivery
	// Ended are the ids of waiting or dead deliveries of earlier revisions that this revision replaces. They end as
	// Dropped, with the reason Superseded.
	Ended []string
}

// SupersededBy is the beginning of the reason of deliveries that a revision replaced.
const SupersededBy = "superseded by revision "

// Superseded is the reason of deliveries that a revision replaced.
func Superseded(revision int) string { return SupersededBy + strconv.Itoa(revision) }

// MaxFormer is how many former revisions of an event are kept: the first, as it was received, and the newest ones.
const MaxFormer = 8

// TrimFormer removes the second of an event's former revisions, oldest first, if adding one made them more than MaxFormer.
// It changes the slice's array.
func TrimFormer[F any](all []F) []F {
	if len(all) > MaxFormer {
		all = slices.Delete(all, 1, 2)
	}
	return all
}

// ClaimDue is how much a loop can take.
type ClaimDue struct {
	Max   int
	Bytes int
	// Lease is how long the holder may take: the longest timeout plus 5 s.
	Lease time.Duration
	// Capacity returns how many deliveries a destination may get now; nil means no bound.
	Capacity func(tenant, destination string) int
}

// Due is a delivery leased to this holder, with its event.
type Due struct {
	Delivery Delivery
	Event    *event.Event
	Lease    time.Time
}

// HoldKind is why a destination is on hold.
type HoldKind string

// The kinds of hold. HoldCircuit and HoldRate end by themselves, HoldRevoked and HoldGone when Fingerprint changes,
// HoldPaused by hand.
const (
	HoldCircuit HoldKind = "circuit"
	HoldRate    HoldKind = "rate"
	HoldRevoked HoldKind = "revoked"
	HoldGone    HoldKind = "gone"
	HoldPaused  HoldKind = "paused"
)

// Hold is why and until when a destination is on hold: its deliveries are not claimed.
type Hold struct {
	Kind   HoldKind
	Reason string
	// Until is when it ends by itself; zero means never.
	Until time.Time
	// Fingerprint is a keyed hash of the credentials, or of the URL, that caused the hold.
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
