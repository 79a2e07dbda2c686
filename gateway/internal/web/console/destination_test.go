package console

import (
	"errors"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// TestIsOfFile: that secrets could not be read, for whatever other reason, does not mean that a webhook has none.
func TestIsOfFile(t *testing.T) {
	t.Parallel()
	if !isOfFile(answer.NewProblem(403, view.DefinedInFile, "it is defined in a file")) {
		t.Error("a webhook of a file is not known")
	}
	for _, err := range []error{nil, errors.New("broken"), answer.NewProblem(403, view.Permission, "no scope"), answer.NewProblem(429, view.Internal, "too many"), answer.NotFound("document")} {
		if isOfFile(err) {
			t.Errorf("%v", err)
		}
	}
}
