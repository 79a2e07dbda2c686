package inspect

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// refusal: replaced by manage.Refusal.
func refusal(err error) error {
	var faults *settings.FaultsError
	if errors.As(err, &faults) {
		p := &answer.Problem{Status: fiber.StatusUnprocessableEntity}
		for _, f := range faults.Faults {
			d := view.Detail{Msg: f.Message, Type: view.Validation}
			for _, l := range f.Loc {
				d.Loc = append(d.Loc, fmt.Sprint(l))
			}
			p.Detail = append(p.Detail, d)
		}
		return p
	}
	return err
}
