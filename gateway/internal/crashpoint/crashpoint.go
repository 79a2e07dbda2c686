// Package crashpoint names the points between two steps of a start or of an event's way at which tests kill the process. Only a binary
// that is built with the tag crashpoints dies there; in every other one At does nothing and is inlined away.
package crashpoint

// The points.
const (
	// KeyMade: the key of the vault is on disk, and nothing is sealed with it yet.
	KeyMade = "key-made"
	// DocumentChecked: a change of a tenant's documents passed all checks, and nothing of it is written yet.
	DocumentChecked = "document-checked"
	// DocumentRead: a changed document of a tenant is in the store and was read, and no decision is made with it yet.
	DocumentRead = "document-read"
	// Appended: events are durable, and their sender has no answer yet.
	Appended = "appended"
	// Claimed: a delivery is claimed and built, and its request is not sent yet.
	Claimed = "claimed"
	// TokenFetched: a token endpoint has issued the access token that the request needs, and the store does not hold it yet.
	TokenFetched = "token-fetched"
	// Sent: the request was answered, and its outcome is not committed yet.
	Sent = "sent"
	// Committed: outcomes are committed, and what they leave to be tried again is not due yet.
	Committed = "committed"
	// JobSelected: a page of what a job is to do is stored, and the job does not know it yet.
	JobSelected = "job-selected"
	// JobIntended: a job has stored what it schedules next, and has not scheduled it yet.
	JobIntended = "job-intended"
	// JobScheduled: a job has scheduled deliveries, and has not stored that yet.
	JobScheduled = "job-scheduled"
)

// Points are all of them, in the order in which a gateway passes them.
func Points() []string {
	return []string{KeyMade, DocumentChecked, DocumentRead, Appended, Claimed, TokenFetched, Sent, Committed, JobSelected, JobIntended, JobScheduled}
}
