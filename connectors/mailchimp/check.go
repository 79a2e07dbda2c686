package mailchimp

import (
	"slices"

	"github.com/surveygate/surveygate/connectors"
)

// Check reads the audience's merge fields, which proves the key, the audience and the fields that a step writes.
// https://mailchimp.com/developer/marketing/api/list-merges/list-merge-fields/
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{connectors.Get(c.at("/merge-fields?fields=merge_fields.tag&count=1000")).As(c.auth())}
}

const asked = "the audience's merge fields"

// JudgeCheck returns the fields of the step that the audience does not have: Mailchimp would silently ignore them.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	p, genuine := read(res)
	switch {
	case res.Status == 404 && genuine:
		return connectors.Missing("the audience " + c.Audience)
	case res.Status == 403 && !genuine: // a server in front of Mailchimp refuses all requests for a while
		return connectors.UnexpectedAnswer("Mailchimp", asked, res)
	case res.Status == 401 || res.Status == 403:
		return connectors.Missing("an API key that Mailchimp accepts (" + p.reason(res) + ")")
	case res.Status < 200 || res.Status > 299:
		return connectors.ProofByStatus(res)
	}
	var audience struct {
		Fields *[]mergeField `json:"merge_fields"`
	}
	if res.JSON(&audience) != nil || audience.Fields == nil {
		return connectors.UnexpectedAnswer("Mailchimp", asked, res)
	}
	var proof connectors.Proof
	for _, tag := range c.MergeFields.Keys() {
		if !slices.Contains(*audience.Fields, mergeField{tag}) {
			proof.Missing = append(proof.Missing, "the merge field "+tag)
		}
	}
	return proof
}

type mergeField struct {
	Tag string `json:"tag"`
}
