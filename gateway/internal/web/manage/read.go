package manage

import (
	"strconv"
	"strings"
	"time"
)

// duration reads a length of time, as 90d, 8h or 5m.
func duration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0 && n <= 36500
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}
