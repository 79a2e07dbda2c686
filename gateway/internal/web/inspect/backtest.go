package inspect

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/surveygate/surveygate/gateway/internal/access"
	"github.com/surveygate/surveygate/gateway/internal/backtest"
	"github.com/surveygate/surveygate/gateway/internal/view"
	"github.com/surveygate/surveygate/gateway/internal/web/answer"
	"github.com/surveygate/surveygate/gateway/internal/web/manage"
	"github.com/surveygate/surveygate/gateway/internal/web/route"
	"github.com/surveygate/surveygate/rules/event"
)

func backtestRows() []row {
	return []row{{(*Inspection).backtest, route.Route{
		Method: fiber.MethodPost, Path: "/v1/backtests", Scope: access.Read,
		For: "what rules would have done with stored events, had they been live: counts by day, source, survey and result, with samples; nothing is sent or kept. " +
			"With `Accept: text/event-stream` the answer tells how far it has come. A draft needs the scope `settings` too",
		In: view.Backtest{}, Out: route.Media{
			fiber.MIMEApplicationJSON: view.Backtested{},
			"text/event-stream":       route.Text("events named `progress`, and at the end one named `result` with what the JSON has, or `problem` with an error"),
		}, Statuses: []int{fiber.StatusTooManyRequests, fiber.StatusConflict, fiber.StatusRequestEntityTooLarge, fiber.StatusNotFound},
	}}}
}

func (i *Inspection) backtest(c *route.Call) error {
	var asked view.Backtest
	if err := route.ReadJSON(c.Body(), &asked); err != nil {
		return err
	}
	ask, err := i.backtestOf(c, &asked)
	if err != nil {
		return err
	}
	run, err := i.prepareBacktest(c, ask)
	if err != nil {
		return err
	}
	caller := strings.Clone(c.Grant.Name)
	return i.Streams().Work(c.Ctx, c.Grant.Tenant+"/"+c.Grant.By()+"/backtests", c.Still(), func(ctx context.Context, report func(any) error) (any, error) {
		leave, err := i.long.Enter(ctx, ask.Tenant, caller)
		if err != nil {
			return nil, busy(err, asksMany)
		}
		defer leave()
		return run.Do(ctx, func(p view.BacktestProgress) error { return report(p) })
	})
}

// backtestOf checks what is asked.
func (i *Inspection) backtestOf(c *route.Call, asked *view.Backtest) (*backtest.Ask, error) {
	ask := &backtest.Ask{
		Tenant: strings.Clone(c.Tenant), By: c.By(), Rules: asked.Rules, Variables: asked.Variables,
		Type: asked.Type, Source: asked.Source, Survey: asked.Survey, Limit: asked.Limit,
	}
	var err error
	if ask.Draft, err = i.draftFor(c, asked.Draft); err != nil {
		return nil, err
	}
	if asked.Draft != nil && len(ask.Draft) == 0 {
		return nil, answer.Invalid("it has no documents: leave it out to ask rules that run", "draft")
	}
	if asked.Type != "" && !event.IsCanonical(asked.Type) {
		return nil, notCanonical(asked.Type, "type")
	}
	now := i.Clock.Now().UTC()
	if ask.Since, err = route.ReadMoment(asked.Since, now, "since"); err != nil {
		return nil, err
	}
	if ask.Until, err = route.ReadMoment(asked.Until, now, "until"); err != nil {
		return nil, err
	}
	if ask.Since.IsZero() {
		ask.Since = now.Add(-backtest.DefaultSince)
	}
	if ask.Until.IsZero() {
		ask.Until = now.Truncate(time.Millisecond).Add(time.Millisecond) // what is received in this one is among them
	}
	return ask, nil
}

// prepareBacktest compiles what is asked, in a turn of the trials.
func (i *Inspection) prepareBacktest(c *route.Call, ask *backtest.Ask) (*backtest.Run, error) {
	leave, err := i.enter(c)
	if err != nil {
		return nil, err
	}
	defer leave()
	run, err := i.backtester.Prepare(c.Base, *ask)
	if invalid, ok := errors.AsType[*backtest.InvalidError](err); ok {
		return nil, answer.Invalid(invalid.Problem, invalid.Loc...)
	}
	if unknown, ok := errors.AsType[*backtest.NoRuleError](err); ok {
		what := "rule"
		if unknown.Draft {
			what = "rule in the draft"
		}
		return nil, answer.NoSuch(what, unknown.Name, unknown.Names)
	}
	if err != nil {
		return nil, inDraft(manage.Refusal(err), err, ask.Draft)
	}
	return run, nil
}
