package pager

import (
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "pager")
}

// The pager keeps to what every connector does.
func TestSuite(t *testing.T) {
	t.Parallel()
	connectortest.Suite(t, "..")
}
