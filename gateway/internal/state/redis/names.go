package redis

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	goredis "github.com/redis/go-redis/v9"

	"github.com/surveygate/surveygate/gateway/internal/state"
)

// names are texts that records would repeat: generations, and what deliveries of one step have in common. A record has
// a reference of six bytes of the text's hash; the text is kept once. References are the same in every process and
// after every loss, so writing one again is harmless.
type names struct {
	mu    sync.Mutex
	texts map[string]string
	kept  map[string]bool // written by this process
}

const refSize = 6

func ref(text string) string {
	sum := sha256.Sum256([]byte(text))
	return string(sum[:refSize])
}

// of is a text's reference; what is new is added to fresh, to be kept before any record refers to it.
func (n *names) of(text string, fresh *[]any) string {
	r := ref(text)
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.kept[r] {
		*fresh = append(*fresh, r, text)
	}
	return r
}

// keep writes new names.
func (s *store) keepNames(ctx context.Context, fresh []any) error {
	if len(fresh) == 0 {
		return nil
	}
	if _, err := s.run(ctx, namesScript, s.meta, append([]any{""}, fresh...)...); err != nil {
		return err
	}
	n := &s.names
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.kept == nil {
		n.kept, n.texts = map[string]bool{}, map[string]string{}
	}
	for i := 0; i < len(fresh); i += 2 {
		r, text := fresh[i].(string), fresh[i+1].(string)
		n.kept[r], n.texts[r] = true, text
	}
	return nil
}

// named is the text of a reference.
func (s *store) named(ctx context.Context, r string) (string, error) {
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
		n.kept, n.texts = map[string]bool{}, map[string]string{}
	}
	n.texts[r] = text
	return text, nil
}

// forget has every name written again: Redis lost its data.
func (n *names) forget() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.kept)
}

// shape is what deliveries of one step have in common.
func shape(d *state.Delivery) string {
	b := appendText(nil, string(d.Origin.Kind))
	for _, t := range [...]string{d.Origin.Name, d.Step, d.Destination, d.Connector} {
		b = appendText(b, t)
	}
	return string(b)
}

func (s *store) shaped(ctx context.Context, r string, d *state.Delivery) error {
	text, err := s.named(ctx, r)
	if err != nil {
		return err
	}
	v := reader{b: text}
	d.Origin.Kind = state.OriginKind(v.text())
	d.Origin.Name, d.Step, d.Destination, d.Connector = v.text(), v.text(), v.text(), v.text()
	return v.err()
}
