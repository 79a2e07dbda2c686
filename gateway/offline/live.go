package offline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/decide"
	"github.com/surveygate/surveygate/gateway/internal/live"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// The results of checking connections.
type (
	// Connection is the result of checking one connection.
	Connection = live.Connection
	// Lack is one missing prerequisite, with the steps that need it.
	Lack = live.Lack
	// Standing is the result in one word.
	Standing = live.Standing
)

// The standings. Missing and Unreachable are faults; Unproved means that only sending an event would show whether it works.
const (
	Proved      = live.Proved
	Unproved    = live.Unproved
	Missing     = live.Missing
	Unreachable = live.Unreachable
)

// UnknownError reports connections that the configuration does not have.
type UnknownError struct{ Names, Known []string }

func (e *UnknownError) Error() string {
	return fmt.Sprintf("there is no connection %s; there are: %s", strings.Join(e.Names, ", "), strings.Join(e.Known, ", "))
}

// Live checks connections of a configuration with harmless requests: the named ones, or all. tenant "" is every tenant. Webhooks are
// included only if they are named, and are always Unproved. Connection.OnlyGateway marks those that only the running gateway can check.
func Live(ctx context.Context, o Options, tenant string, names []string) ([]Connection, error) {
	c, err := o.load(false)
	if err != nil {
		return nil, err
	}
	asked, err := chosen(c, tenant, names)
	if err != nil {
		return nil, err
	}
	sender := outbound.New(outbound.Options{Policy: c.Outbound, Clock: clock.System(), Version: o.Version, Tokens: &oauth.Direct{}})
	defer sender.Close()
	checker := live.Checker{Plan: decide.New(c), Sender: sender, Offline: true}
	found := checker.Check(ctx, asked...)
	return found, ctx.Err()
}

// chosen returns the destinations to check, in the order of the files.
func chosen(c *config.Config, tenant string, names []string) ([]*config.Destination, error) {
	unknown := slices.Clone(names)
	var asked []*config.Destination
	var known []string
	for _, d := range c.Destinations {
		if tenant != "" && d.Tenant != tenant {
			continue
		}
		known = append(known, d.Name)
		named := slices.Contains(names, d.Name)
		if named {
			unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == d.Name })
		}
		if named || len(names) == 0 && d.Product != "webhook" {
			asked = append(asked, d)
		}
	}
	if len(unknown) > 0 {
		slices.Sort(known)
		return nil, &UnknownError{unknown, slices.Compact(known)}
	}
	return asked, nil
}
