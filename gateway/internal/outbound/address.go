package outbound

import (
	"sync"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/redact"
)

// addressOf returns the request's address if it is a secret, and else the zero Secret.
func addressOf(req *connectors.Request) connectors.Secret {
	if auth, ok := req.Auth.(connectors.AddressAuth); ok {
		return auth.URL
	}
	return req.Address
}

// addressCutters caches the cutters of secret addresses, which have many parts to look for. A new policy begins a new
// cache, so addresses that are no longer used are dropped.
type addressCutters struct{ byAddress sync.Map } // connectors.Secret to *redact.Cutter

func (c *addressCutters) find(address connectors.Secret) *redact.Cutter {
	if known, ok := c.byAddress.Load(address); ok {
		return known.(*redact.Cutter)
	}
	cutter := redact.New(addressTexts(address.Expose(), nil)...)
	c.byAddress.Store(address, cutter)
	return cutter
}

// cutAddress removes the request's address from its answer if the address is a secret.
func (w *wire) cutAddress(res *connectors.Response) {
	if w.address == nil {
		return
	}
	res.Body = w.address.Cut(res.Body, res.Truncated)
	for _, values := range res.Header {
		for i, v := range values {
			if len(v) >= minPart {
				values[i] = w.address.Text(v)
			}
		}
	}
}
