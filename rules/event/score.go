package event

import (
	"math"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// scorePaths are the paths of the results of Scores, in their order.
var scorePaths = func() *jsonpath.Paths {
	paths := &jsonpath.Paths{}
	for _, path := range []string{"response.score.nps", "response.score.csat"} {
		if _, err := paths.Add(path); err != nil {
			panic(err) // the paths are constant
		}
	}
	return paths
}()

// Scores returns the NPS and the CSAT of the response, as Data has them; NaN: there is none. It does not decode Data, so it is cheap.
func (e *Event) Scores() (nps, csat float64) {
	found := [2]float64{math.NaN(), math.NaN()}
	scorePaths.Extract(e.DataJSON(), func(slot int, r jsonpath.Result) {
		if n, ok := r.Number(); ok {
			found[slot] = n
		}
	})
	return found[0], found[1]
}
