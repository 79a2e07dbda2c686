package deliver

// progress is how far a delivery has come in this process, and whose it is. Each job has one; move is the only function that
// changes it.
//
//	           begin                 end
//	queued ─────────────▶ running ───────────▶ done
//	 │ │ │                   │                 ▲ ▲
//	 │ │ │ end               │                 │ │
//	 │ │ └───────────────────┼─────────────────┘ │
//	 │ │ lease               │ lease         end │
//	 │ └───────────────────▶ leased ─────────────┘
//	 │ release
//	 └─────────▶ released
//
// A delivery that is running or leased and begins once more, as the rest of a batch that was cut down does, stays as it is.
//
// queued, running and leased belong to this process. leased and released are the two ways in which a delivery is handed
// over, so that its event can be committed before it ends: leased keeps it with this process, released gives it to the
// due-queue, from which any replica may take it. A delivery that comes from the due-queue begins as leased.
type progress uint8

const (
	// refused is no state: it is where a change leads that is not allowed. A job whose progress was never set allows none.
	refused progress = iota
	// queued: it waits in memory for its attempt. Its end will be part of its event's outcome.
	queued
	// running: an attempt runs. Its end will be part of its event's outcome.
	running
	// leased: the store has it as waiting, under a lease of this process. Its end is committed by itself.
	leased
	// released: the store has it as waiting. This process must not touch it any more.
	released
	// done: its end is recorded.
	done

	progresses
)

// change is what can happen to a delivery.
type change uint8

const (
	// toBegin: a worker begins an attempt, or the next request of a batch that was too large for one.
	toBegin change = iota
	// toEnd: an attempt ended, the delivery is put off, or nothing is to be sent.
	toEnd
	// toLease: its event is committed before its end, and this process will end it.
	toLease
	// toRelease: its event is committed before its end, and any replica may end it.
	toRelease

	changes
)

// transitions says where each change leads. What is missing is refused.
var transitions = [progresses][changes]progress{
	queued:  {toBegin: running, toEnd: done, toLease: leased, toRelease: released},
	running: {toBegin: running, toEnd: done, toLease: leased},
	leased:  {toBegin: leased, toEnd: done},
}

// move makes a change, or returns false where it is not allowed; then nothing changed. The claim's mu is held, where the job
// has a claim.
func (j *job) move(c change) bool {
	to := transitions[j.progress][c]
	if to == refused {
		return false
	}
	j.progress = to
	return true
}
