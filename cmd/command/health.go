package command

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
)

// probeTimeout limits how long a probe waits for an answer.
const probeTimeout = 4 * time.Second

// health asks the gateway that uses the data folder whether it is ready, for containers without a shell. The exit code is 0 or 1, the
// only codes that Docker defines.
func (g *globals) health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	gw, err := g.dialAny()
	if err != nil {
		return &exit{exitFailed, err}
	}
	defer gw.Close()
	var ready struct {
		Status   string   `json:"status"`
		Reasons  []string `json:"reasons,omitempty"`
		Warnings []string `json:"warnings,omitempty"`
	}
	err = gw.Do(ctx, client.Call{Method: http.MethodGet, Path: "/readyz", Into: &ready})
	var refused *client.APIError
	if err != nil && (!errors.As(err, &refused) || ready.Status == "") {
		return &exit{exitFailed, err}
	}
	if g.json {
		if err := g.print(ready); err != nil {
			return err
		}
	} else {
		g.printf("%s\n", ready.Status)
		for _, reason := range ready.Reasons {
			g.printf("  %s\n", reason)
		}
		for _, warning := range ready.Warnings {
			g.printf("  warning: %s\n", warning)
		}
	}
	if err != nil {
		return &exit{exitFailed, nil}
	}
	return nil
}
