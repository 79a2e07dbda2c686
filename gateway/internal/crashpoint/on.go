//go:build crashpoints

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// Variable names the point and how often it is passed until the process dies there: SURVEYGATE_CRASH_AT=sent:3.
const Variable = "SURVEYGATE_CRASH_AT"

var (
	point, last = parse(os.Getenv(Variable)) //nolint:forbidigo // a binary for tests only
	passed      atomic.Int64
)

func parse(text string) (string, int64) {
	name, n, _ := strings.Cut(text, ":")
	times, _ := strconv.ParseInt(n, 10, 64)
	return name, times
}

// At kills the process, as `kill -9` does, when it passes the named point for the last time.
func At(name string) {
	if name != point || passed.Add(1) != last {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // nothing after the point may happen
}
