package constantcontact

import (
	"testing"

	"github.com/surveygate/surveygate/connectors/connectortest"
)

func TestTranscripts(t *testing.T) {
	t.Parallel()
	connectortest.Play(t, "constantcontact")
}
