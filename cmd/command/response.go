package command

import (
	"context"
	"errors"
	"net/url"
	"strconv"
	"time"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/offline"
)

// explainResponse shows the responses with an id as they stand.
func (g *globals) explainResponse(ctx context.Context, gw *client.Client, id, source string) error {
	query := url.Values{}
	if source != "" {
		query.Set("source", source)
	}
	all, err := gw.Responses(ctx, id, query)
	switch {
	case isMissing(err):
		return &exit{exitNothing, errors.New("no event of a response `" + id + "` is kept")}
	case err != nil:
		return err
	case g.json:
		return g.print(all)
	}
	for i := range all.Data {
		if i > 0 {
			g.printf("\n")
		}
		if err := g.showResponse(&all.Data[i]); err != nil {
			return err
		}
	}
	return nil
}

func (g *globals) showResponse(r *client.Response) error {
	of := "Response " + r.ID + " from " + r.Source
	if r.SurveyID != "" {
		of += ", survey " + r.SurveyID
	}
	g.say("%s\n", of)
	g.say("  %s, version %d, %d%s\n", or(r.Status, "status unknown"), r.Version, len(r.Events), plural(len(r.Events), " event"))
	if r.More {
		g.say("  only its newest events are looked at: it has more\n")
	}
	fields, err := offline.FieldsOfEvent(r.Envelope)
	if err != nil {
		return err
	}
	g.printf("\n")
	for i := range fields.Fields {
		if v := &fields.Fields[i]; !v.Missing() && v.Name != "warnings" && v.Name != "unread" {
			g.showValue(v)
		}
	}
	g.printf("\nEvents:\n")
	rows := make([][]string, len(r.Events))
	for i := range r.Events {
		e := &r.Events[i]
		rows[i] = []string{e.ID, e.Received.Format(time.DateTime), e.Type, became(e)}
	}
	g.wholeTable(rows)
	if len(r.Deliveries) == 0 {
		g.printf("\nNothing is owed to anybody.\n")
		return nil
	}
	g.printf("\nDeliveries:\n")
	rows = make([][]string, len(r.Deliveries))
	for i := range r.Deliveries {
		d := &r.Deliveries[i]
		rows[i] = []string{d.ID, d.State, d.Destination, d.Rule, strconv.Itoa(d.Attempts) + plural(d.Attempts, " attempt"), d.Reason}
	}
	g.wholeTable(rows)
	g.printf("\nwhy: surveygate explain %s\n", r.Events[len(r.Events)-1].ID)
	return nil
}
