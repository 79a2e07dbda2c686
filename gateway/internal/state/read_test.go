package state

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/surveygate/surveygate/rules/event"
)

func TestEventQueryMatches(t *testing.T) {
	t.Parallel()
	people := NewPeople(make([]byte, 32))
	r := &Record{
		Event:   &event.Event{Header: event.Header{Type: "response.completed", Source: "s", SurveyID: "survey", ResponseID: "response"}},
		Outcome: &Outcome{},
	}
	for _, c := range []struct {
		q    EventQuery
		want bool
	}{
		{EventQuery{}, true},
		{EventQuery{Type: "response.completed", Source: "s", Survey: "survey", Response: "response"}, true},
		{EventQuery{Type: "response.partial"}, false},
		{EventQuery{Source: "other"}, false},
		{EventQuery{Survey: "other"}, false},
		{EventQuery{Response: "other"}, false},
		{EventQuery{Dead: true}, false},
		{EventQuery{Respondent: "ada@example.com"}, false},
	} {
		if got := c.q.Matches(r, people); got != c.want {
			t.Errorf("%+v: %t", c.q, got)
		}
	}
	r.Outcome.Dead = "it killed five gateways"
	if q := (EventQuery{Dead: true}); !q.Matches(r, people) || q.Matches(&Record{Event: r.Event}, people) {
		t.Error("a dead letter is one by its outcome")
	}
}

func TestDeliveryQuery(t *testing.T) {
	t.Parallel()
	d := &Delivery{State: Dead, Destination: "crm", Origin: Origin{Rule, "detractor"}, Updated: now}
	everywhere := []List{WaitingList, DeadList, HistoryList, FailureList}
	for _, c := range []struct {
		q     DeliveryQuery
		want  bool
		lists []List
	}{
		{DeliveryQuery{}, true, everywhere},
		{DeliveryQuery{State: Dead}, true, []List{DeadList}},
		{DeliveryQuery{State: Waiting}, false, []List{WaitingList}},
		{DeliveryQuery{State: Delivered}, false, []List{HistoryList, FailureList}},
		{DeliveryQuery{State: Dead, Failed: true}, true, []List{FailureList}},
		{DeliveryQuery{Destination: "other"}, false, everywhere},
		{DeliveryQuery{Rule: "detractor", Destination: "crm"}, true, everywhere},
		{DeliveryQuery{Rule: "other"}, false, everywhere},
		{DeliveryQuery{Since: now}, true, everywhere},
		{DeliveryQuery{Since: now.Add(time.Nanosecond)}, false, everywhere},
		{DeliveryQuery{Until: now}, false, everywhere},
		{DeliveryQuery{Until: now.Add(time.Nanosecond)}, true, everywhere},
	} {
		if got := c.q.Matches(d); got != c.want {
			t.Errorf("%+v: %t", c.q, got)
		}
		if got := c.q.Lists(); !slices.Equal(got, c.lists) {
			t.Errorf("%+v: in lists %v, want %v", c.q, got, c.lists)
		}
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	cursor := EncodeCursor([]byte{1, 2, 3})
	if place, err := DecodeCursor(cursor, 1); err != nil || !slices.Equal(place, []byte{2, 3}) {
		t.Errorf("% x, %v", place, err)
	}
	for _, c := range []string{"", "*", EncodeCursor([]byte{2, 2, 3}), EncodeCursor(nil)} {
		if _, err := DecodeCursor(c, 1); !errors.Is(err, ErrCursor) {
			t.Errorf("%q: %v", c, err)
		}
	}
}
