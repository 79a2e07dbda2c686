// Package settings keeps the documents of tenants in the store, and brings every change of them into the running plan.
//
// A document is one setting of kind state.KindDocument. Its value is JSON:
//
//	{"v":1, "doc":{…}, "sealed":{"headers.X-Api-Key":"k2:…"}, "meta":{"created":…, "updated":…, "provenance":"api", "owner":""}}
//
// doc is what a file would hold for the object, without its secrets; sealed holds those by their path, each sealed by the vault for
// the tenant, the kind, the document and the path.
package settings

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/document"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// form is the version of the stored form that this version writes, and the only one that it reads.
const form = 1

// ErrTooLarge means that a document, or the documents of a tenant together, would exceed a bound.
var ErrTooLarge = errors.New("too large")

// stored is a document as the store holds it.
type stored struct {
	V      int               `json:"v"`
	Doc    json.RawMessage   `json:"doc"`
	Sealed map[string]string `json:"sealed,omitempty"`
	Meta   Meta              `json:"meta"`
}

// Meta is what is known of a document beside its settings.
type Meta struct {
	Created time.Time `json:"created"`
	Updated time.Time `json:"updated"`
	// Provenance is how it was written, such as `api`; Owner is whose it is among the writers, empty for nobody's.
	Provenance string `json:"provenance"`
	Owner      string `json:"owner"`
	// Lock refuses changes by everybody but the owner.
	Lock bool `json:"lock,omitempty"`
	// CreatedBy and UpdatedBy are who did, as in package audit.
	CreatedBy string `json:"created_by,omitempty"`
	UpdatedBy string `json:"updated_by,omitempty"`
	// Secrets are those of a webhook, in the order in which the document has them.
	Secrets []SecretMeta `json:"secrets,omitempty"`
}

// Draft is a document to be written.
type Draft struct {
	// Name is KIND/NAME, as in config.Document.
	Name string
	// Spec is the document's settings as JSON, without its secrets. Secrets holds those by their path.
	Spec    json.RawMessage
	Secrets map[string]connectors.Secret
	Meta    Meta
}

// Encode returns the stored form of a draft. It seals the secrets, for which the vault records in the store that the key is
// needed. ErrTooLarge: it exceeds config.MaxDocument. vault.ErrNoKey: there are secrets, and no key to seal them.
func Encode(v *vault.Vault, tenant string, d Draft) ([]byte, error) { return encode(v.Seal, tenant, d) }

// encode returns the stored form of a draft, whose secrets it seals with a function of the vault.
func encode(seal func(tenant, kind, name, field string, plain []byte) (string, error), tenant string, d Draft) ([]byte, error) {
	var compact bytes.Buffer
	if err := json.Compact(&compact, d.Spec); err != nil {
		return nil, fmt.Errorf("%s: it is not JSON: %w", d.Name, err)
	}
	s := stored{V: form, Doc: compact.Bytes(), Meta: d.Meta}
	s.Meta.Created, s.Meta.Updated = s.Meta.Created.UTC(), s.Meta.Updated.UTC()
	for _, path := range slices.Sorted(maps.Keys(d.Secrets)) {
		sealed, err := seal(tenant, state.KindDocument, d.Name, path, []byte(d.Secrets[path].Expose()))
		if err != nil {
			return nil, err
		}
		if s.Sealed == nil {
			s.Sealed = map[string]string{}
		}
		s.Sealed[path] = sealed
	}
	var value bytes.Buffer
	e := json.NewEncoder(&value)
	e.SetEscapeHTML(false) // it would change doc
	if err := e.Encode(s); err != nil {
		return nil, fmt.Errorf("%s: %w", d.Name, err)
	}
	if value.Len() > config.MaxDocument {
		return nil, fmt.Errorf("%s: %w: it takes %d bytes, at most %d are kept of one document", d.Name, ErrTooLarge, value.Len(), config.MaxDocument)
	}
	return bytes.TrimSuffix(value.Bytes(), []byte("\n")), nil
}

// Decode reads a document. It never fails: what is wrong with the setting is among the document's Faults, so that one document
// harms no other. Spec shares the memory of the setting's value.
func Decode(v *vault.Vault, tenant string, setting state.Setting) config.Document {
	d, _ := decode(v, tenant, setting)
	return d
}

// decode is Decode, and returns why secrets cannot be opened, by their paths.
func decode(v *vault.Vault, tenant string, setting state.Setting) (d config.Document, closed map[string]error) {
	d = config.Document{Name: setting.Name, Version: setting.Version}
	fault := func(message, remedy string) {
		d.Faults = append(d.Faults, document.At(config.StorePrefix+setting.Name, message, remedy))
	}
	if len(setting.Value) > config.MaxDocument {
		fault(fmt.Sprintf("the document takes %d bytes, and at most %d are read", len(setting.Value), config.MaxDocument), "write a smaller one")
		return d, nil
	}
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(setting.Value, &head); err != nil || head.V < 1 {
		fault("the document is not in the form in which documents are stored", "write it again")
		return d, nil
	}
	if head.V != form {
		fault(fmt.Sprintf("the document has form %d, which a newer version of surveygate wrote; this version reads form %d", head.V, form),
			"update this replica: until then nothing is sent for the document, and its deliveries wait")
		return d, nil
	}
	var s stored
	if err := json.Unmarshal(setting.Value, &s); err != nil || len(s.Doc) == 0 {
		fault("the document is not in the form in which documents are stored", "write it again")
		return d, nil
	}
	d.Spec = within(setting.Value, s.Doc)
	for _, path := range slices.Sorted(maps.Keys(s.Sealed)) {
		plain, err := v.Open(tenant, state.KindDocument, setting.Name, path, s.Sealed[path])
		if err != nil {
			remedy := "set the secret again"
			if errors.Is(err, vault.ErrNoKey) {
				remedy = "start the gateway with the key that it was sealed with, or set the secret again"
			}
			if closed == nil {
				closed = map[string]error{}
			}
			closed[path] = err
			fault(fmt.Sprintf("the secret `%s` cannot be opened: %s", path, err), remedy)
			continue
		}
		if d.Secrets == nil {
			d.Secrets = make(map[string]connectors.Secret, len(s.Sealed))
		}
		d.Secrets[path] = connectors.NewSecret(string(plain))
		clear(plain)
	}
	return d, closed
}

// metaOf returns the metadata of a stored document; the zero value if it cannot be read.
func metaOf(setting state.Setting) Meta {
	var s struct {
		Meta Meta `json:"meta"`
	}
	if json.Unmarshal(setting.Value, &s) != nil {
		return Meta{}
	}
	return s.Meta
}

// within returns the part of value that equals doc, so that doc's memory is not held beside it.
func within(value, doc []byte) []byte {
	if i := bytes.Index(value, doc); i >= 0 {
		return value[i : i+len(doc) : i+len(doc)]
	}
	return doc
}
