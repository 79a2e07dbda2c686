package all_test

import (
	"net/http"
	"reflect"
	"slices"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/rules/expression"
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

// Every expression of a connector is in an exported field, or in a type that sets the time zone of its own: see expression.InZone.
func TestEveryExpressionHasAZone(t *testing.T) {
	t.Parallel()
	expressions := []reflect.Type{reflect.TypeFor[expression.Condition](), reflect.TypeFor[expression.Value](), reflect.TypeFor[expression.Text](), reflect.TypeFor[expression.Values]()}
	found := 0
	var look func(at string, of reflect.Type, hidden bool, within []reflect.Type)
	look = func(at string, of reflect.Type, hidden bool, within []reflect.Type) {
		switch {
		case slices.Contains(expressions, of):
			if found++; hidden {
				t.Errorf("%s is an expression that is not exported: its type needs InZone", at)
			}
			return
		case slices.Contains(within, of):
			return
		}
		within = append(slices.Clip(within), of)
		switch of.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array:
			look(at, of.Elem(), hidden, within)
		case reflect.Struct:
			if reflect.PointerTo(of).Implements(reflect.TypeFor[expression.Zoned]()) {
				found++
				return
			}
			for f := range of.Fields() {
				look(at+"."+f.Name, f.Type, hidden || !f.IsExported(), within)
			}
		}
	}
	for _, name := range connectors.Names() {
		c, _ := connectors.New(name)
		look(name, reflect.TypeOf(c), false, nil)
	}
	if found < 20 {
		t.Errorf("only %d expressions were found", found)
	}
}
