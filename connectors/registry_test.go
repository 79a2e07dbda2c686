package connectors_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/rules/event"
)

type silent struct{ Setting string }

func (s *silent) Build(*event.Event) (*connectors.Request, error) {
	return nil, connectors.Skip("silent")
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	connectors.Register("registrytest", func() connectors.Connector { return &silent{Setting: "default"} })
	connectors.Register("registrytest.note", func() connectors.Connector { return &silent{} })
	connectors.Register("registrytest.add", func() connectors.Connector { return &silent{} })

	c, ok := connectors.New("registrytest")
	if !ok || c.(*silent).Setting != "default" {
		t.Errorf("got %v, %v", c, ok)
	}
	c.(*silent).Setting = "changed"
	if again, _ := connectors.New("registrytest"); again.(*silent).Setting != "default" {
		t.Error("two connectors share their settings")
	}
	if _, ok := connectors.New("nobody"); ok {
		t.Error("nobody registered it")
	}
	if diff := cmp.Diff([]string{"add", "note"}, connectors.Actions("registrytest")); diff != "" {
		t.Error(diff)
	}
	if names := connectors.Names(); !slices.IsSorted(names) || !slices.Contains(names, "registrytest.note") {
		t.Errorf("the names are %v", names)
	}
}

func TestRegisterRefuses(t *testing.T) {
	t.Parallel()
	connectors.Register("registrytwice", func() connectors.Connector { return &silent{} })
	for _, name := range []string{"registrytwice", "", "Slack", "a-b", "a.b.c", ".a", "a.", "1a"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q was registered", name)
				}
			}()
			connectors.Register(name, func() connectors.Connector { return &silent{} })
		}()
	}
}

func TestHeadersAreReplaced(t *testing.T) {
	t.Parallel()
	req := connectors.Post("https://a.example", map[string]string{"a": "<b>"}).
		With("content-type", "text/plain").With("X-A", "1").WithSecret("x-a", connectors.NewSecret("s")).Named("first")
	want := []connectors.Field{{Name: "content-type", Value: "text/plain"}, {Name: "x-a", Value: "s", Secret: true}}
	if !slices.Equal(req.Header, want) || req.Name != "first" || string(req.Body) != `{"a":"<b>"}` {
		t.Errorf("got %v %s %s", req.Header, req.Name, req.Body)
	}
}
