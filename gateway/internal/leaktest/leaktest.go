// Package leaktest fails the tests of a package if a goroutine that they started is still running when they have ended.
package leaktest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// looks is how often leftover goroutines are searched for, each time for half a second: on a busy machine a goroutine that is about to
// end may need that long.
const looks = 60

// Main is the TestMain of a package: it runs the tests, and exits with 1 if goroutines are left that ignored does not name.
func Main(m *testing.M, ignored ...goleak.Option) {
	code := m.Run()
	if code == 0 {
		if err := left(ignored); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func left(ignored []goleak.Option) (err error) {
	for range looks {
		if err = goleak.Find(ignored...); err == nil {
			return nil
		}
	}
	return err
}
