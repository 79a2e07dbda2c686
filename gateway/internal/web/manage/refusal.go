package manage

import (
	"errors"
	"fmt"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/settings"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// Refusal returns the answer to an error of settings.Book; any other error stays as it is.
func Refusal(err error) error {
	var (
		faults  *settings.FaultsError
		version *settings.VersionError
		needed  *settings.NeededError
		inFile  *settings.InFileError
		owned   *settings.OwnedError
		limit   *settings.LimitError
		mask    *settings.MaskError
		deleted *access.DeletedError
		address *settings.AddressError
		closed  *settings.ClosedError
	)
	if problem := secretRefusal(err); problem != nil {
		return problem
	}
	switch {
	case errors.As(err, &faults):
		return &answer.Problem{Status: fiber.StatusUnprocessableEntity, Detail: faultDetails(faults.Faults)}
	case errors.As(err, &version):
		asked := fiber.HeaderIfMatch
		if version.None {
			asked = fiber.HeaderIfNoneMatch
		}
		return answer.NewProblem(fiber.StatusPreconditionFailed, view.Conflict, version.Error(), asked)
	case errors.As(err, &needed):
		return answer.Conflict(needed.Error())
	case errors.As(err, &inFile):
		return definedInFile(settings.Title(inFile.Name), &view.FilePlace{File: inFile.At.File, Line: inFile.At.Line})
	case errors.As(err, &owned):
		return answer.NewProblem(fiber.StatusForbidden, view.ManagedBy, owned.Error())
	case errors.As(err, &limit):
		return answer.NewProblem(fiber.StatusForbidden, view.PlanRestriction, limit.Error(), "limits", limit.Kind)
	case errors.As(err, &mask):
		return answer.Invalid(mask.Error(), document.SplitPath(mask.Path)...)
	case errors.As(err, &deleted):
		return route.TenantDeleted(deleted)
	case errors.As(err, &address):
		at := address.Path
		if address.Rule != "" {
			at = address.Address
		}
		return answer.Invalid(address.Error(), document.SplitPath(at)...)
	case errors.Is(err, settings.ErrNoDocument):
		return answer.NotFound("document")
	case errors.Is(err, settings.ErrTooLarge):
		return answer.NewProblem(fiber.StatusRequestEntityTooLarge, view.TooLarge, err.Error())
	case errors.As(err, &closed) && errors.Is(err, vault.ErrNoKey):
		return answer.Unavailable(closed.Error(), answer.DefaultRetryAfter, err)
	case errors.As(err, &closed):
		return answer.Conflict(closed.Error())
	case errors.Is(err, vault.ErrNoKey):
		return answer.Unavailable("secrets cannot be kept: the gateway has no key to seal them; set SURVEYGATE_KEY or `key_file`", answer.DefaultRetryAfter, err)
	case errors.Is(err, state.ErrConflict):
		return answer.Conflict("another change of this tenant's settings is being made; send it again")
	}
	return err
}

// definedInFile is the answer to a change of what a file defines.
func definedInFile(name string, at *view.FilePlace) *answer.Problem {
	where := "the configuration"
	if at != nil && at.Line > 0 {
		where = fmt.Sprintf("%s:%d", at.File, at.Line)
	}
	return answer.NewProblem(fiber.StatusForbidden, view.DefinedInFile, "`"+name+"` is defined in "+where+"; change it there and reload")
}

// faultDetails are the details of the faults of a document.
func faultDetails(faults document.Faults) []view.Detail {
	details := make([]view.Detail, len(faults))
	for i, f := range faults {
		msg := f.Message
		if f.Remedy != "" {
			msg += "; " + f.Remedy
		}
		details[i] = view.Detail{Msg: msg, Type: view.Validation, Loc: view.LocOf(f)}
		if f.Within != nil {
			details[i].At = f.Within[:]
		}
	}
	return details
}
