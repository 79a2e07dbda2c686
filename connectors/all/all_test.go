package all_test

import (
	"net/http"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestEveryConnector(t *testing.T) {
	t.Parallel()
	connectortest.Suite(t, "..")
}

//nolint:paralleltest // allocations of other tests would be counted
func TestBuildAllocates(t *testing.T) {
	connectortest.CheckAllocations(t, "..")
}

func BenchmarkBuild(b *testing.B) {
	connectortest.BenchmarkBuild(b, "..")
}

func TestFoldersImportsAndPagesAreOneList(t *testing.T) {
	t.Parallel()
	connectortest.CheckFolders(t, "..")
}

func FuzzJudge(f *testing.F) {
	f.Add(200, "", []byte("ok"))
	f.Add(200, "", []byte(`{"ok":false,"error":"channel_not_found"}`))
	f.Add(429, "30", []byte(`{"ok":false,"error":"ratelimited"}`))
	f.Add(503, "Fri, 02 Jan 2026 03:05:05 GMT", []byte("<html>"))
	f.Fuzz(func(t *testing.T, status int, retryAfter string, body []byte) {
		status = 100 + int(uint(status)%500)
		for _, name := range connectors.Names() {
			c, _ := connectors.New(name)
			connectortest.CheckVerdict(t, c, &connectors.Response{
				Status: status, Header: http.Header{"Retry-After": {retryAfter}}, Body: body, At: connectortest.ReceivedAt,
			})
		}
	})
}

// Every Chained connector is a ChainComparer, so that two revisions of an event can be compared.
func TestEveryChainIsComparable(t *testing.T) {
	t.Parallel()
	chains := 0
	for _, name := range connectors.Names() {
		c, _ := connectors.New(name)
		if _, chained := c.(connectors.Chained); !chained {
			continue
		}
		chains++
		if _, follows := c.(connectors.ChainComparer); !follows {
			t.Errorf("%s is Chained but not a ChainComparer", name)
		}
	}
	if chains == 0 {
		t.Error("no connector is Chained, so this test checks nothing")
	}
}
