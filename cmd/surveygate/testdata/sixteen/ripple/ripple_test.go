package ripple

import (
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "ripple")
}

func TestSuite(t *testing.T) {
	t.Parallel()
	connectortest.Suite(t, "..")
}
