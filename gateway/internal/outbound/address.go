package outbound

import (
	"sync"

	"github.com/surveygate/surveygate/connectors"
)

// addressOf returns the request's address if it is a secret.
func addressOf(req *connectors.Request) connectors.Secret {
	if auth, ok := req.Auth.(connectors.AddressAuth); ok {
		return auth.URL
	}
	return req.Address
}

// addressForms caches the forms of secret addresses, which are cut out of every answer: they are many, and the same for
// each request. A reload makes a new room and with it a new cache, so addresses that are no longer used are dropped.
type addressForms struct{ of sync.Map } // connectors.Secret to []string, longest first

func (f *addressForms) find(address connectors.Secret) []string {
	if known, ok := f.of.Load(address); ok {
		return known.([]string)
	}
	forms := allForms(addressTexts(address.Expose(), nil))
	f.of.Store(address, forms)
	return forms
}

// cutAddress cuts the request's address out of its answer, if it is a secret.
func (w *wire) cutAddress(res *connectors.Response) {
	if len(w.address) == 0 {
		return
	}
	res.Body = cutForms(res.Body, w.address, res.Truncated)
	shortest := len(w.address[len(w.address)-1])
	for _, values := range res.Header {
		for i, v := range values {
			if len(v) >= shortest {
				values[i] = string(cutForms([]byte(v), w.address, false))
			}
		}
	}
}
