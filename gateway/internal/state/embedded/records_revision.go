package embedded

import (
	"fmt"

	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/rules/event"
)

// revisions are the revisions of an event as its record stores them: the decision of the newest one, and the former ones with
// their decisions, oldest first.
type revisions struct {
	newest decision
	former []former
}

// decision is an outcome without its deliveries: those of all revisions are in one list.
type decision struct {
	generation uint64
	at         int64
	dead       string
	rules      []state.RuleOutcome
}

type former struct {
	decision
	envelope []byte
}

func (o *outcome) decision() decision {
	return decision{o.generation, nanos(o.At), o.Dead, o.Rules}
}

// follow makes the newest revision, with its envelope, a former one, and d the decision of the newest.
func (r *revisions) follow(envelope []byte, d decision) {
	r.former = state.TrimFormer(append(r.former, former{r.newest, envelope}))
	r.newest = d
}

func (r *revisions) append(b []byte) []byte {
	b = appendUint(append(b, revisionsV1), uint64(len(r.former)))
	for i := range r.former {
		b = state.AppendText(r.former[i].append(b), r.former[i].envelope)
	}
	return r.newest.append(b)
}

func (d *decision) append(b []byte) []byte {
	b = state.AppendText(appendInt(appendUint(b, d.generation), d.at), d.dead)
	return appendRules(b, d.rules)
}

// readRevisions shares memory with the record.
func readRevisions(b []byte) (all revisions, err error) {
	r := readerOf(b)
	r.Version(revisionsV1)
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		all.former = append(all.former, former{r.decision(), r.bytes()})
	}
	all.newest = r.decision()
	if err := r.Err(); err != nil {
		return all, fmt.Errorf("revisions: %w", err)
	}
	return all, nil
}

func (r *reader) decision() (d decision) {
	d.generation, d.at, d.dead = r.Uint(), r.Int(), r.Text()
	d.rules = r.rules()
	return d
}

func appendRules(b []byte, rules []state.RuleOutcome) []byte {
	b = appendUint(b, uint64(len(rules)))
	for i := range rules {
		b = state.OriginCodes.Append(b, string(rules[i].Origin.Kind))
		b = state.AppendText(b, rules[i].Origin.Name)
		b = state.AppendText(b, rules[i].Err)
	}
	return b
}

func (r *reader) rules() (all []state.RuleOutcome) {
	for n := r.Count(); n > 0 && !r.Bad(); n-- {
		all = append(all, state.RuleOutcome{
			Origin: state.Origin{Kind: state.OriginKind(r.Code(state.OriginCodes)), Name: r.Text()}, Err: r.Text(),
		})
	}
	return all
}

// applyRevisions replaces the decision of the commit by that of the newest revision, and adds the former revisions.
func (s *store) applyRevisions(r *state.Record, out *outcome, record []byte) error {
	t, _, _, err := readEvent(record)
	if err != nil || len(t.revisions) == 0 {
		return err
	}
	all, err := readRevisions(append([]byte(nil), t.revisions...))
	if err != nil {
		return err
	}
	n := &all.newest
	out.generation, out.Generation, out.At, out.Dead, out.Rules = n.generation, s.generations.nameOf(n.generation), fromNanos(n.at), n.dead, n.rules
	for i := range all.former {
		f := &all.former[i]
		ev, err := event.Decode(f.envelope, nil)
		if err != nil {
			return err
		}
		r.Former = append(r.Former, state.Former{
			Event: ev, Generation: s.generations.nameOf(f.generation), At: fromNanos(f.at), Rules: f.rules, Dead: f.dead,
		})
	}
	return nil
}
