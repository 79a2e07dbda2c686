package state

import (
	"testing"
	"time"
)

// TestOverdueReasons: each reason names its bound as settings write it, and the setting.
func TestOverdueReasons(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ got, want string }{
		{WaitingBound{Age: 14 * 24 * time.Hour}.TooOld(), "waited longer than 14d (retention.waiting.age)"},
		{WaitingBound{Age: 36 * time.Hour}.TooOld(), "waited longer than 36h (retention.waiting.age)"},
		{WaitingBound{Age: 1500 * time.Millisecond}.TooOld(), "waited longer than 1.5s (retention.waiting.age)"},
		{WaitingBound{Count: 1000000}.TooMany(), "more than 1000000 were waiting for its destination (retention.waiting.count)"},
		{WaitingBound{Bytes: 4 << 30}.TooLarge(), "more than 4GiB were waiting for its destination (retention.waiting.bytes)"},
		{WaitingBound{Bytes: 1<<30 + 1<<29}.TooLarge(), "more than 1.5GiB were waiting for its destination (retention.waiting.bytes)"},
		{WaitingBound{Bytes: 800}.TooLarge(), "more than 800B were waiting for its destination (retention.waiting.bytes)"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
