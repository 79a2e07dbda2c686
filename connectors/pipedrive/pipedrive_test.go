package pipedrive

import (
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "pipedrive")
}

func TestNoteTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.PlayFiles(t, "pipedrive.note", "testdata/note/*.txtar", connectortest.Bind)
}

func TestLeadTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.PlayFiles(t, "pipedrive.lead", "testdata/lead/*.txtar", connectortest.Bind)
}
