package redis

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// names are texts that records would otherwise repeat: configuration generations, and what deliveries of one step have in
// common. A record has a reference: six bytes of the text's hash. The text is kept once. If another text has the same
// reference, a further hash is taken. So references are the same in every process and after every loss of data, except those
// few, and writing a name again is harmless.
type names struct {
	mu    sync.Mutex
	texts map[string]string     // by reference, as Redis has them
	refs  map[string]*reference // by text
	rules ruleNames
	hash  func(text string, further int) string
	runs  string // run IDs of the servers that they were written to
}

// reference stands for a text in records.
type reference struct {
	ref     string
	further int  // number of hashes that other texts have
	kept    bool // written by this process
}

const refSize = 6

// errTaken means that another text has a new name's reference. The caller makes its records again, with a further one.
var errTaken = errors.New("another text has this reference")

// shortReference returns a text's reference, or a further one if other texts have those before.
func shortReference(text string, further int) string {
	if further > 0 {
		text += "\x00" + strconv.Itoa(further)
	}
	sum := sha256.Sum256([]byte(text))
	return string(sum[:refSize])
}

// reference returns a text's reference. A new name is added to fresh; it must be kept before a record refers to it.
func (n *names) reference(text string, fresh *[]newName) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.refs[text]
	if r == nil {
		if n.refs == nil {
			n.refs = map[string]*reference{}
		}
		r = &reference{ref: n.hashOf(text, 0)}
		n.refs[text] = r
	}
	if !r.kept {
		*fresh = append(*fresh, newName{r.ref, text})
	}
	return r.ref
}

func (n *names) hashOf(text string, further int) string {
	if n.hash != nil {
		return n.hash(text, further)
	}
	return shortReference(text, further)
}

// namesArgs are the arguments of names.lua.
type namesArgs struct{ Names []newName }

// newName is a text that is not known to be kept, and its reference.
type newName struct{ Ref, Value string }

// keepNames writes new names. After errTaken the caller must make its records again.
func (s *store) keepNames(ctx context.Context, fresh []newName) error {
	if len(fresh) == 0 {
		return nil
	}
	got, err := namesScript.run(ctx, s, s.meta, namesArgs{fresh})
	if err != nil {
		return err
	}
	taken := map[int]bool{}
	for _, place := range asList(got) {
		taken[int(asInt(place))] = true
	}
	n := &s.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.texts == nil {
		n.texts = map[string]string{}
	}
	for i, name := range fresh {
		r := n.refs[name.Value]
		switch {
		case r.ref != name.Ref: // a concurrent call took a further one
		case taken[i]:
			r.further++
			r.ref = n.hashOf(name.Value, r.further)
		default:
			r.kept, n.texts[name.Ref] = true, name.Value
		}
	}
	if len(taken) > 0 {
		return errTaken
	}
	return nil
}

// retryTaken calls do, which makes records and keeps their names, until it returns another error than errTaken.
func retryTaken(do func() error) error {
	for {
		if err := do(); !errors.Is(err, errTaken) {
			return err
		}
	}
}

// nameOf returns the text of a reference.
func (s *store) nameOf(ctx context.Context, r string) (string, error) {
	n := &s.names
	n.mu.Lock()
	text, ok := n.texts[r]
	n.mu.Unlock()
	if ok {
		return text, nil
	}
	text, err := s.client.HGet(ctx, s.meta+"names", r).Result()
	if errors.Is(err, goredis.Nil) {
		return "", fmt.Errorf("%w: it refers to a name that is not kept", errCorrupt)
	}
	if err != nil {
		return "", s.fault(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.texts == nil {
		n.texts = map[string]string{}
	}
	n.texts[r] = text
	return text, nil
}

// rewriteNames writes every name again if other servers answer than those that the names were written to. A server that was
// restarted or became master may lack the newest names, and records continue to refer to them.
func (s *store) rewriteNames(ctx context.Context, runs string) error {
	n := &s.names
	n.mu.Lock()
	before := n.runs
	n.mu.Unlock()
	if before == runs {
		return nil
	}
	if before != "" {
		n.forget()
		if err := n.keepAll(ctx, s); err != nil {
			return err
		}
	}
	n.mu.Lock()
	n.runs = runs
	n.mu.Unlock()
	return nil
}

// keepAll writes all names that are not known to be kept, in calls that are short.
func (n *names) keepAll(ctx context.Context, s *store) error {
	const most = 500
	n.mu.Lock()
	texts := make([]string, 0, len(n.refs))
	for text := range n.refs {
		texts = append(texts, text)
	}
	n.mu.Unlock()
	for some := range slices.Chunk(texts, most) {
		err := retryTaken(func() error {
			var fresh []newName
			for _, text := range some {
				n.reference(text, &fresh)
			}
			return s.keepNames(ctx, fresh)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// forget marks every name as not kept, after Redis lost data.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.refs {
		r.kept = false
	}
	n.rules = ruleNames{}
}

// shape encodes what deliveries of one step have in common.
func shape(d *state.Delivery) string {
	b := state.AppendText(nil, string(d.Origin.Kind))
	for _, t := range [...]string{d.Origin.Name, d.Step, d.Destination, d.Connector} {
		b = state.AppendText(b, t)
	}
	return string(b)
}

func (s *store) readShape(ctx context.Context, r string, d *state.Delivery) error {
	text, err := s.nameOf(ctx, r)
	if err != nil {
		return err
	}
	v := readerOf(text)
	d.Origin.Kind = state.OriginKind(v.Text())
	d.Origin.Name, d.Step, d.Destination, d.Connector = v.Text(), v.Text(), v.Text(), v.Text()
	return v.Err()
}

// ruleNames are the destinations that deliveries of each rule or webhook have had, of all tenants, as far as names had them when
// there were size names.
type ruleNames struct {
	size  int64
	dests map[string]map[string]bool
}

// destinations returns the destinations that deliveries of a rule or webhook may have. It misses none: a record refers to the
// shape of its delivery, which is kept before it, by former versions too, and never leaves. It may return destinations of
// another tenant's rule of that name.
func (n *names) destinations(ctx context.Context, s *store, rule string) (map[string]bool, error) {
	size, err := s.client.HLen(ctx, s.meta+"names").Result()
	if err != nil {
		return nil, s.fault(err)
	}
	n.mu.Lock()
	known := n.rules
	n.mu.Unlock()
	if known.dests != nil && known.size == size {
		return known.dests[rule], nil
	}
	read := ruleNames{dests: map[string]map[string]bool{}}
	seen := map[string]bool{}
	for next := uint64(0); ; {
		var some []string
		if some, next, err = s.client.HScan(ctx, s.meta+"names", next, "", 1000).Result(); err != nil {
			return nil, s.fault(err)
		}
		for i := 0; i+1 < len(some); i += 2 {
			if ref := some[i]; !seen[ref] { // a scan may return one twice
				seen[ref] = true
				read.add(some[i+1])
			}
		}
		if next == 0 {
			break
		}
	}
	read.size = int64(len(seen))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rules = read
	return read.dests[rule], nil
}

// add adds a text if it is a shape.
func (r *ruleNames) add(text string) {
	v := readerOf(text)
	_, name, _, destination, _ := v.Text(), v.Text(), v.Text(), v.Text(), v.Text()
	if v.Bad() || v.Rest != "" {
		return
	}
	if r.dests[name] == nil {
		r.dests[name] = map[string]bool{}
	}
	r.dests[name][destination] = true
}
