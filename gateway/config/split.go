package config

import (
	"github.com/surveygate/surveygate/connectors"
)

// Split takes the secrets out of a document that has them in its Spec: it returns the Spec without them, as JSON, and the secrets by
// their path. What is a secret follows from the types of the settings. ok is false if the document cannot be read; Overlay then says why.
func Split(base *Config, tenant string, d Document) (spec []byte, secrets map[string]connectors.Secret, ok bool) {
	o := newOverlay(base, tenant)
	o.take([]Document{d})
	o.compile()
	node := o.all[0].node
	if node == nil {
		return nil, nil, false
	}
	public, secrets := node.Split()
	return public.JSON(), secrets, true
}
