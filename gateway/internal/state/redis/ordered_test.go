package redis

// ordered are the tests of the suite that want one order over all events, or a bound to the piece: over several shards
// there is an order within each, and each has its part of a bound.
var ordered = []string{
	"two of one id within a call are one", "positions rise in the order of the call",
	"oldest first", "oldest first, read back", "for all tenants", "bounded in bytes",
	"released is claimed again, uncounted", "released is claimed again, uncounted, read back",
	"a position of another event is no fence", "many events and due deliveries in one step",
	"an event can be a dead letter itself", "earliest first",
	"newest first, page by page", "cursors stand while events come", "range goes in order, as it was when it was called",
	"failures outlast successes", "never past what is pending", "never past a released event",
	"dead letters end by bytes, oldest first", "what waits is bounded per destination, the oldest leaves",
	"history is bounded per destination and by age",
	"accepted survives a crash", "a claim that crashed is counted, one that was released is not",
	"closing releases uncounted", "what was committed is not claimed again",
}
