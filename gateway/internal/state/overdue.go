package state

import (
	"fmt"
	"time"
)

// The reasons of deliveries that Trim makes dead letters. Each names the bound that was exceeded and its setting, because
// the remedies differ: a queue that is too large needs more bytes, not more time.

// TooOld is the reason of a delivery that waited longer than the bound's age.
func (b WaitingBound) TooOld() string {
	return "waited longer than " + spanText(b.Age) + " (retention.waiting.age)"
}

// TooMany is the reason of the oldest delivery of a destination for which more wait than the bound's count.
func (b WaitingBound) TooMany() string {
	return fmt.Sprintf("more than %d were waiting for its destination (retention.waiting.count)", b.Count)
}

// TooLarge is the reason of the oldest delivery of a destination whose waiting events exceed the bound's bytes.
func (b WaitingBound) TooLarge() string {
	return "more than " + sizeText(b.Bytes) + " were waiting for its destination (retention.waiting.bytes)"
}

// spanText writes a duration as settings do: 14d, 36h, 90s.
func spanText(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}} {
		if d >= unit.size && d%unit.size == 0 {
			return fmt.Sprintf("%d%s", d/unit.size, unit.name)
		}
	}
	return d.String()
}

// sizeText writes a number of bytes as settings do: 4GiB, 512MiB. Sizes that are not a whole number of a unit are rounded
// down to a tenth of the largest unit.
func sizeText(n int64) string {
	units := []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}}
	for _, unit := range units {
		switch {
		case n < unit.size:
		case n%unit.size == 0:
			return fmt.Sprintf("%d%s", n/unit.size, unit.name)
		default:
			return fmt.Sprintf("%d.%d%s", n/unit.size, n%unit.size*10/unit.size, unit.name)
		}
	}
	return fmt.Sprintf("%dB", n)
}
