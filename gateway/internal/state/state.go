// Package state is the one interface to what the gateway keeps: events, what is owed, what happened,
// settings and statistics. Engines stand below it; statetest is the suite that each of them passes.
//
// Every method is safe for concurrent use and takes a tenant, or its comment says why not. A call that
// returned without error is as durable as the engine promises.
package state

import (
	"context"
	"errors"
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
	// also within one call, are duplicates of the first; so is one of which a better id is known (event.Header.Better).
	// An error means that the call is not accepted, though an engine of several shards may keep some of its events:
	// given again, those are duplicates of themselves, and nothing is kept twice.
	Append(ctx context.Context, events []*event.Event) ([]Appended, error)

	// Claim waits until there are events nobody holds, or ctx ends, and holds up to max of them or the first
	// that exceeds bytes, for all tenants: one loop serves them all. Events of one response come oldest first; engines
	// of one shard claim all in that order.
	// Events whose holder died are claimed again, which raises Claimed.Claims. Those that InCompany claims have ended for
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

// Appended is what became of one event.
type Appended struct {
	Duplicate bool
	// Position orders events; it is that of the first where Duplicate and it is still kept, else 0.
	Position uint64
	// Of is the id of the first where Duplicate and that is another than the event's own: a better proved one's.
	Of string
}

// ID is the id that an event is kept under.
func (a Appended) ID(ev *event.Event) string {
	if a.Of != "" {
		return a.Of
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

// InCompany is how many claims of an event may end without a commit or a release while others are held with it. Each
// further claim is by ClaimSuspect.
const InCompany = 2

// Suspect reports whether an event may only be claimed alone, of which so many claims ended without a commit or a release.
func Suspect(ended int) bool { return ended >= InCompany }

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

// Origin is the rule or webhook that a delivery is owed to, or the test it belongs to.
type Origin struct {
	Kind OriginKind
	Name string
}

// OriginKind is rule, webhook or test.
type OriginKind string

// The origins. Test is a test delivery that somebody asked for; its name is the destination's.
const (
	Rule    OriginKind = "rule"
	Webhook OriginKind = "webhook"
	Test    OriginKind = "test"
)

// DeliveryState is where a delivery stands.
type DeliveryState string

// The states. Waiting ones are in the due-queue; Dead ones will not be tried again by themselves.
const (
	Waiting   DeliveryState = "waiting"
	Delivered DeliveryState = "delivered"
	Skipped   DeliveryState = "skipped"
	Dead      DeliveryState = "dead"
	Dropped   DeliveryState = "dropped"
)

// Delivery is one event owed to one step or webhook.
type Delivery struct {
	ID      string // dl_<event id>_<13 base32 characters>
	Tenant  string
	EventID string
	// Revision is that of the event which owes it: 0 is the event as it was taken in.
	Revision    int
	Origin      Origin
	Step        string // as written in send, or its `as`; the webhook's own name for a webhook
	Destination string // name of the connection or webhook
	Connector   string // product, with its action: slack, hubspot.note, webhook
	State       DeliveryState
	// Reason is why it waits, was skipped or is dead: retry, delay, circuit open, no e-mail, …
	Reason string
	// Ref is the product's own id of what the latest attempt that named one wrote there (connectors.Verdict.Ref).
	Ref string
	// Attempts counts requests sent or that could not connect, over all its life.
	Attempts int
	// Forgiven is how many of Attempts use nothing up of the retry schedule: those made before somebody had it tried
	// again, those refused for the credentials or with their whole batch, and those that the product put off to a time
	// of its own. Commit keeps what it is given; Schedule sets it to Attempts, so that what is retried or replayed by
	// hand begins a fresh schedule.
	Forgiven int
	// Created is when it was decided; Updated when it last changed; Due when it is next tried, for Waiting.
	Created, Updated, Due time.Time
	// Alone keeps it out of batches.
	Alone bool
	// Leased says that somebody has it until Due. Given to Commit: a running attempt that is handed over; Schedule
	// and Drop leave it alone until then. Read back: of Waiting ones, whether a holder has it now.
	Leased bool
	// Log are attempts. Given to Commit: those made since the last commit. Read back: all that is kept, oldest first.
	Log []Attempt
}

// Attempt is one request, or one chain of them, that was sent or could not connect.
type Attempt struct {
	N       int // 1 is the first
	At      time.Time
	Took    time.Duration
	Verdict string // connectors.Kind as text
	Status  int    // 0 without an answer
	Reason  string
	// Sent and Received are sizes in bytes of the bodies.
	Sent, Received int
	// Request and Response are the transcript's texts without secrets: of failures, and of successes where captured.
	Request, Response []byte
	// Repeat: another holder's commit came first; this one was made nevertheless.
	Repeat bool
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
	Holds(ctx context.Context, tenant string) ([]Held, error)

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

// ClaimDue is what a loop has room for.
type ClaimDue struct {
	Max   int
	Bytes int
	// Lease is how long the holder may take: the longest timeout and 5 s.
	Lease time.Duration
	// Room is how many deliveries a destination may get now; nil is no bound.
	Room func(tenant, destination string) int
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

// Held is a destination on hold.
type Held struct {
	Tenant, Destination string
	Hold                Hold
	Waiting             int
}
