// Package leaktest ends the tests of other rooms: no goroutine that they started may outlive them.
package leaktest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// looks is how often it is looked, each time for half a second: on a machine that is busy with other things, what is
// about to end may need that long.
const looks = 60

// Main is a room's TestMain. What is ignored lives on by right.
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
