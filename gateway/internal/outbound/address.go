package outbound

import (
	"sync"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/redact"
)

// addressOf returns the request's address if it is a secret.
func addressOf(req *connectors.Request) connectors.Secret {
	if auth, ok := req.Auth.(connectors.AddressAuth); ok {
		return auth.URL
	}
	return req.Address
}

// addressCutters caches the cutters of secret addresses: an address has many parts, and the same ones for each request.
// A reload makes a new room and with it a new cache, so addresses that are no longer used are dropped.
type addressCutters struct{ of sync.Map } // connectors.Secret to *redact.Cutter

func (c *addressCutters) find(address connectors.Secret) *redact.Cutter {
	if known, ok := c.of.Load(address); ok {
		return known.(*redact.Cutter)
	}
	cutter := redact.New(addressTexts(address.Expose(), nil)...)
	c.of.Store(address, cutter)
	return cutter
}

// cutAddress cuts the request's address out of its answer, if it is a secret.
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
