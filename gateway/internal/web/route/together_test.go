package route

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestTogether(t *testing.T) {
	t.Parallel()
	first, second := errors.New("first"), errors.New("second")
	err := Together(func() error { return first }, func() error { return nil }, func() error { return second })
	if !errors.Is(err, first) || !errors.Is(err, second) || err.Error() != "first\nsecond" {
		t.Errorf("%v", err)
	}
	if err := Together(); err != nil {
		t.Error(err)
	}
	others := 0
	defer func() {
		raised := fmt.Sprint(recover())
		if others != 1 || !strings.HasPrefix(raised, "assignment to entry in nil map\n") || !strings.Contains(raised, "TestTogether") {
			t.Errorf("%d others ended; raised %s", others, raised)
		}
	}()
	var none map[string]int
	_ = Together(func() error { none["a"] = 1; return nil }, func() error { others++; return nil })
	t.Error("the panic of one was not raised")
}
