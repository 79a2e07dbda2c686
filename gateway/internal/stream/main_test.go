package stream

import (
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
