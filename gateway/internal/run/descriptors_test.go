package run

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web"
)

// Together the parts take no more than there is, and each has enough to work.
func TestDescriptorsAreShared(t *testing.T) {
	t.Parallel()
	for limit := leastDescriptors; limit <= mostDescriptors; limit += 1 + limit/7 {
		for _, console := range []bool{false, true} {
			d, err := share(limit, console)
			if err != nil {
				t.Fatal(err)
			}
			if used := baseDescriptors + d.store + d.outgoing + d.incoming + d.control + d.console; used > limit {
				t.Errorf("of %d: %+v, which is %d", limit, d, used)
			}
			if d.store < leastStoreFiles || d.outgoing < 8 || d.incoming < 6 || d.control < 1 || d.incoming > web.MaxConnections || console != (d.console >= 4) {
				t.Errorf("of %d: %+v", limit, d)
			}
			if tight := len(d.Problems()) > 0; tight != (d.incoming < fewConnections) {
				t.Errorf("of %d: %v", limit, d.Problems())
			}
		}
	}
	if d, err := share(65_536, false); err != nil || d.incoming != web.MaxConnections || d.outgoing != mostOutgoing || d.Problems() != nil {
		t.Errorf("of 65,536: %+v, %v", d, err)
	}
	if d, err := share(256, false); err != nil || !strings.Contains(d.Problems()[0], "the process may have 256 file descriptors: raise the limit") {
		t.Errorf("of 256: %v, %v", d.Problems(), err)
	}
	if _, err := share(100, false); err == nil || !strings.Contains(err.Error(), "100 files and connections at once; it needs 128") {
		t.Errorf("of 100: %v", err)
	}
}
