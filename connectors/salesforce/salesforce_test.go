package salesforce

import (
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "salesforce")
}

func TestCaseTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.PlayFiles(t, "salesforce.case", "testdata/case/*.txtar", connectortest.Bind)
}
