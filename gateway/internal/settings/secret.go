package settings

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/webhook"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/signature"
)

// The secrets of a webhook are shown as a list of what is known of each: its id, a hint, and since when and until when it counts. Such
// an entry, sent back, stands for its secret, as a mask does. The metadata of a document holds them in the order of its secrets.

// SecretMeta is what is kept of a webhook's secret beside its value.
type SecretMeta struct {
	ID    string    `json:"id"`
	Since time.Time `json:"since"`
	// Until is when it ends; zero: it does not end by itself.
	Until time.Time `json:"until,omitzero"`
}

// Secret is a webhook's secret as a caller may see it. It has the JSON of an entry of `secrets` in a document.
type Secret struct {
	ID    string     `json:"id"`
	Hint  string     `json:"hint"`
	Since time.Time  `json:"since"`
	Until *time.Time `json:"until,omitempty"`
}

// WebhookSecret is a Secret with its value.
type WebhookSecret struct {
	Secret
	Value connectors.Secret
}

var (
	// ErrTwoSecrets means that a webhook has as many secrets as it can have.
	ErrTwoSecrets = errors.New("two secrets count already: delete one of them, or wait until the older one ends")
	// ErrNoSecret means that a webhook has no secret of that id.
	ErrNoSecret = errors.New("no such secret")
	// ErrLastSecret means that a webhook's only secret cannot be deleted.
	ErrLastSecret = errors.New("it is the only secret, and the signature needs one: make another first, or set `signature` to `none` and `secrets` to an empty list")
	// ErrUnsigned means that a webhook's requests are not signed.
	ErrUnsigned = errors.New("its requests are not signed, so that a secret would sign nothing: set `signature` first")
)

const secretsKey = "secrets"

// isWebhook reports whether a document is a webhook, whose secrets have metadata.
func isWebhook(name string) bool { return Kind(name) == "webhook" }

// secretPath is the path of the i-th secret of a webhook.
func secretPath(i int) string { return secretsKey + "." + strconv.Itoa(i) }

// hint returns the beginning of a secret that all of its form have, and its last characters if it is long enough that they tell
// nothing.
func hint(secret connectors.Secret) string {
	text := secret.Expose() //nolint:forbidigo // four characters of a long random text are shown
	prefix := ""
	for _, p := range []string{"whsec_", "whsk_"} {
		if strings.HasPrefix(text, p) {
			prefix = p
		}
	}
	const shown, least = 4, 24
	end := strings.TrimRight(text, "=")
	if len(end)-len(prefix) < least || !isASCII(end) {
		return prefix + "…"
	}
	return prefix + "…" + end[len(end)-shown:]
}

// isHint reports whether a text is a hint, which stands for nothing by itself.
func isHint(text string) bool {
	before, after, found := strings.Cut(text, "…")
	return found && (before == "" || before == "whsec_" || before == "whsk_") && len(after) <= 4
}

func isASCII(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return r < '!' || r > '~' }) < 0
}

// secretsOf returns the secrets of a webhook, in their order.
func secretsOf(r *read) []Secret {
	var all []Secret
	for i := 0; ; i++ {
		value, ok := r.Secrets[secretPath(i)]
		if !ok {
			return all
		}
		s := Secret{ID: "s" + strconv.Itoa(i+1), Hint: hint(value), Since: r.meta.Updated} // of a document without metadata
		if i < len(r.meta.Secrets) {
			m := r.meta.Secrets[i]
			s.ID, s.Since = m.ID, m.Since
			if !m.Until.IsZero() {
				s.Until = &m.Until
			}
		}
		all = append(all, s)
	}
}

// secretMetas returns the metadata of the secrets of a webhook after a change: a secret that was there keeps its own. until, if it is
// not zero, ends those that were there and do not end yet. One of them always counts without end.
func secretMetas(current *read, secrets map[string]connectors.Secret, now, until time.Time) []SecretMeta {
	var metas []SecretMeta
	endless := false
	for i := 0; ; i++ {
		value, ok := secrets[secretPath(i)]
		if !ok {
			break
		}
		m := SecretMeta{ID: "s_" + strings.ToLower(rand.Text()[:8]), Since: now}
		if current != nil {
			for j, s := range secretsOf(current) {
				if current.Secrets[secretPath(j)] != value {
					continue
				}
				m = SecretMeta{ID: s.ID, Since: s.Since}
				if s.Until != nil {
					m.Until = *s.Until
				} else {
					m.Until = until
				}
			}
		}
		endless = endless || m.Until.IsZero()
		metas = append(metas, m)
	}
	if !endless {
		for i := range metas {
			metas[i].Until = time.Time{}
		}
	}
	return metas
}

// showSecrets puts what is known of a webhook's secrets in their place.
func showSecrets(tree any, r *read) any {
	settings, ok := tree.(map[string]any)
	all := secretsOf(r)
	if !ok || len(all) == 0 {
		return tree
	}
	list := make([]any, len(all))
	for i := range all {
		list[i] = all[i].tree()
	}
	settings[secretsKey] = list
	return tree
}

// tree returns the secret as a caller sees it and sends it back.
func (s *Secret) tree() map[string]any {
	v := map[string]any{"id": s.ID, "hint": s.Hint, "since": s.Since.UTC().Format(time.RFC3339)}
	if s.Until != nil {
		v["until"] = s.Until.UTC().Format(time.RFC3339)
	}
	return v
}

// takeSecrets puts the secrets of a webhook in place of the entries that stand for them, and reports whether there were any. An entry
// stands for a secret with its `id` alone; what else it has must be what was shown.
func takeSecrets(tree any, current *read) (found bool, err error) {
	settings, _ := tree.(map[string]any)
	list, _ := settings[secretsKey].([]any)
	var known []Secret
	if current != nil {
		known = secretsOf(current)
	}
	for i := range list {
		if text, ok := list[i].(string); ok && isHint(text) {
			return true, &MaskError{secretPath(i)}
		}
		entry, ok := list[i].(map[string]any)
		if !ok {
			continue
		}
		found = true
		at := slices.IndexFunc(known, func(s Secret) bool { return s.stands(entry) })
		if at < 0 {
			return true, &MaskError{secretPath(i)}
		}
		list[i] = document.EscapeVariables(current.Secrets[secretPath(at)].Expose()) //nolint:forbidigo // it goes back to where it was
	}
	return found, nil
}

// stands reports whether an entry stands for the secret.
func (s *Secret) stands(entry map[string]any) bool {
	shown := s.tree()
	for key, value := range entry {
		if shown[key] != value {
			return false
		}
	}
	return entry["id"] == s.ID
}

// whole returns the settings of a document with its secrets.
func whole(r *read) (any, error) {
	tree, err := parseTree(r.Spec)
	if err != nil {
		return nil, err
	}
	for _, path := range slices.SortedFunc(maps.Keys(r.Secrets), byPlace) {
		tree = place(tree, document.SplitPath(path), document.EscapeVariables(r.Secrets[path].Expose())) //nolint:forbidigo // it goes back to where it was
	}
	return tree, nil
}

// makeSecrets gives a secret to each new webhook that comes without one and whose signature needs one. One that is there already keeps
// its secrets, so that the same request does the same again.
func (b *Book) makeSecrets(base *config.Config, p *planned, all map[string]*read) {
	for _, c := range p.changes {
		d := compiled(p.overlay, c.Name)
		if c.Delete || c.Patch || !isWebhook(c.Name) || d == nil || d.State != config.Broken {
			continue
		}
		tree, err := parseTree(specJSON(all[c.Name]))
		settings, ok := tree.(map[string]any)
		if err != nil || !ok {
			continue
		}
		if list, isList := settings[secretsKey].([]any); settings[secretsKey] != nil && (!isList || len(list) > 0) {
			continue
		}
		compiles := func(secrets []any) bool {
			settings[secretsKey] = secrets
			with := maps.Clone(all)
			with[c.Name] = &read{Document: config.Document{Name: c.Name, Spec: writeTree(settings), Version: c.version()}}
			overlay := config.Overlay(base, p.tenant, listed(with))
			// Where the secret fits and the document has other faults, the answer names those alone.
			if d := compiled(overlay, c.Name); d == nil || slices.ContainsFunc(d.Faults, isOfSecrets) {
				return false
			}
			all[c.Name], p.overlay = with[c.Name], overlay
			return true
		}
		if c.current != nil {
			if former := secretsIn(c.current); settings[secretsKey] == nil && len(former) > 0 {
				compiles(former)
			}
			continue
		}
		private, _ := signature.NewKeyPair()
		for _, secret := range []connectors.Secret{signature.NewSecret(), private} {
			if compiles([]any{secret.Expose()}) { //nolint:forbidigo // it is sealed before it is kept
				c.made = secret
				break
			}
		}
	}
}

// secretsIn returns the secrets in the settings of a webhook, as they stand there.
func secretsIn(r *read) []any {
	tree, err := whole(r)
	settings, ok := tree.(map[string]any)
	if err != nil || !ok {
		return nil
	}
	list, _ := settings[secretsKey].([]any)
	return list
}

// isOfSecrets reports whether a fault is one of the secrets of a webhook.
func isOfSecrets(f document.Fault) bool { return len(f.Loc) > 0 && f.Loc[0] == secretsKey }

// specJSON returns the settings of a document as JSON; nil if they cannot be read.
func specJSON(r *read) []byte {
	node, _ := document.ParseStored(r.Name, r.Spec)
	if node == nil {
		return nil
	}
	return node.JSON()
}

// Secrets returns the secrets of a webhook. ErrNoDocument: there is none of that name.
func (b *Book) Secrets(ctx context.Context, tenant, name string) ([]Secret, error) {
	setting, err := b.Writer.Store.Get(ctx, tenant, state.KindDocument, name)
	if errors.Is(err, state.ErrNotFound) {
		return nil, ErrNoDocument
	}
	if err != nil {
		return nil, err
	}
	return secretsOf(b.read(tenant, setting)), nil
}

// AddSecret gives a webhook another secret, and ends the one that it has after overlap. Where a request carries a signature for each
// secret, both sign until then. A style with a single signature signs with the former secret until then, so that the receiver has
// that time to learn the new one. Its errors are those of Apply, ErrTwoSecrets and ErrUnsigned.
func (b *Book) AddSecret(ctx context.Context, tenant, name string, overlap time.Duration, expected *uint64, how How) (*Result, error) {
	e, err := b.Get(ctx, tenant, name)
	if err != nil {
		return nil, err
	}
	several, pair := true, false
	for _, d := range e.Overlay.Destinations {
		if w, ok := d.Alone.(*webhook.Connector); ok && d.Name == Title(name) {
			if w.Style().Unsigned() {
				return nil, ErrUnsigned
			}
			several, pair = signature.Several(w.Style()), w.Style().Style == "ed25519"
		}
	}
	made := signature.NewSecret()
	if pair {
		made, _ = signature.NewKeyPair()
	}
	change := Change{Name: name, If: expected, until: b.Writer.Clock.Now().UTC().Truncate(time.Second).Add(overlap)}
	change.edit = func(tree map[string]any, _ *read) error {
		list, _ := tree[secretsKey].([]any)
		if len(list) >= 2 {
			return ErrTwoSecrets
		}
		text := any(made.Expose()) //nolint:forbidigo // it is sealed before it is kept
		switch {
		case overlap <= 0:
			list = []any{text}
		case several:
			list = slices.Insert(list, 0, text)
		default:
			list = append(list, text)
		}
		tree[secretsKey] = list
		return nil
	}
	results, err := b.Apply(ctx, tenant, []Change{change}, how)
	if err != nil {
		return nil, err
	}
	results[0].Made = made
	return &results[0], nil
}

// RemoveSecret takes a secret from a webhook. Its errors are those of Apply, ErrNoSecret and ErrLastSecret.
func (b *Book) RemoveSecret(ctx context.Context, tenant, name, id string, expected *uint64, how How) (*Result, error) {
	change := Change{Name: name, If: expected}
	change.edit = func(tree map[string]any, current *read) error {
		at := slices.IndexFunc(secretsOf(current), func(s Secret) bool { return s.ID == id })
		list, _ := tree[secretsKey].([]any)
		if at < 0 || at >= len(list) {
			return ErrNoSecret
		}
		if len(list) == 1 {
			return ErrLastSecret
		}
		tree[secretsKey] = slices.Delete(list, at, at+1)
		return nil
	}
	results, err := b.Apply(ctx, tenant, []Change{change}, how)
	if err != nil {
		return nil, err
	}
	return &results[0], nil
}

// kindEnding is the kind of the settings, under the system's tenant, that say when the first secret of a webhook ends: TENANT/NAME. They
// are an index, so that one read finds what ends. The document alone decides.
const kindEnding = "secret-ending"

type ending struct {
	Until time.Time `json:"until"`
}

// noteEnding writes the index of a webhook whose secrets end.
func (b *Book) noteEnding(ctx context.Context, tenant, name string, metas []SecretMeta) error {
	first := firstEnding(metas)
	if first.IsZero() {
		return nil
	}
	value, err := json.Marshal(ending{first})
	if err != nil {
		return err
	}
	key := tenant + "/" + Title(name)
	for {
		kept, err := b.Writer.Store.Get(ctx, systemTenant, kindEnding, key)
		if err != nil && !errors.Is(err, state.ErrNotFound) {
			return err
		}
		if string(kept.Value) == string(value) {
			return nil
		}
		if _, err = b.Writer.Store.Put(ctx, systemTenant, kindEnding, key, value, kept.Version); !errors.Is(err, state.ErrConflict) {
			return err
		}
	}
}

func firstEnding(metas []SecretMeta) (first time.Time) {
	for _, m := range metas {
		if !m.Until.IsZero() && (first.IsZero() || m.Until.Before(first)) {
			first = m.Until
		}
	}
	return first
}

// endAgain is how long a webhook is left alone whose secret cannot end, because a file has its name, or the webhook is broken: nothing
// is sent by such a document. Who mends it by API makes its note anew, and need not wait.
const endAgain = 10 * time.Minute

// EndSecrets removes the secrets whose time is over, of all tenants. It may run on several replicas at once. The error is that of the
// last webhook that failed. The next call tries it again; if the document itself is the reason, the first call after endAgain.
func (b *Book) EndSecrets(ctx context.Context) error {
	all, err := b.Writer.Store.List(ctx, systemTenant, kindEnding)
	if err != nil {
		return fmt.Errorf("find the secrets that end: %w", err)
	}
	var failed error
	for _, setting := range all {
		var e ending
		if json.Unmarshal(setting.Value, &e) == nil && e.Until.After(b.Writer.Clock.Now()) {
			continue
		}
		tenant, name, _ := strings.Cut(setting.Name, "/")
		if err := b.endSecrets(ctx, tenant, "webhook/"+name, setting); err != nil {
			failed = fmt.Errorf("end the secrets of webhook %s of tenant %s: %w", name, tenant, err)
			if state.StopsAll(err) && !errors.Is(err, state.ErrConflict) {
				return failed
			}
			if version := new(VersionError); state.StopsAll(err) || errors.As(err, &version) || errors.Is(err, ErrNoDocument) {
				continue // somebody else changed it
			}
			if err := b.putOff(ctx, setting); err != nil {
				return errors.Join(failed, err)
			}
		}
	}
	return failed
}

// putOff makes the note of a webhook count again after endAgain.
func (b *Book) putOff(ctx context.Context, noted state.Setting) error {
	value, err := json.Marshal(ending{b.Writer.Clock.Now().UTC().Add(endAgain)})
	if err != nil {
		return err
	}
	_, err = b.Writer.Store.Put(ctx, systemTenant, kindEnding, noted.Name, value, noted.Version)
	if errors.Is(err, state.ErrConflict) || errors.Is(err, state.ErrNotFound) {
		return nil
	}
	return err
}

func (b *Book) endSecrets(ctx context.Context, tenant, name string, noted state.Setting) error {
	kept, err := b.Writer.Store.Get(ctx, tenant, state.KindDocument, name)
	switch {
	case errors.Is(err, state.ErrNotFound):
	case err != nil:
		return err
	default:
		r := b.read(tenant, kept)
		now := b.Writer.Clock.Now()
		change := Change{Name: name, If: &kept.Version}
		change.edit = func(tree map[string]any, current *read) error {
			list, _ := tree[secretsKey].([]any)
			left := []any{}
			for i, s := range secretsOf(current) {
				if i < len(list) && (s.Until == nil || s.Until.After(now)) {
					left = append(left, list[i])
				}
			}
			if len(left) > 0 {
				tree[secretsKey] = left
			}
			return nil
		}
		how := How{By: audit.By{Name: "gateway"}, Owner: r.meta.Owner, Lock: r.meta.Lock, Later: true}
		if _, err := b.Apply(ctx, tenant, []Change{change}, how); err != nil {
			return err
		}
		// What ends later has a note of its own.
		if kept, err = b.Writer.Store.Get(ctx, tenant, state.KindDocument, name); err != nil && !errors.Is(err, state.ErrNotFound) {
			return err
		}
		if first := firstEnding(b.read(tenant, kept).meta.Secrets); first.After(now) {
			return nil
		}
	}
	err = b.Writer.Store.Delete(ctx, systemTenant, kindEnding, noted.Name, noted.Version)
	if errors.Is(err, state.ErrNotFound) || errors.Is(err, state.ErrConflict) {
		return nil
	}
	return err
}
