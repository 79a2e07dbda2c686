package pipedrive

import (
	"slices"

	"github.com/surveygate/surveygate/connectors"
)

// The names of the check requests.
const (
	owner  = "owner"
	fields = "fields"
	access = "access"
)

// maxFields is the size in bytes of a large company's list of fields.
const maxFields = 4 << 20

// Check asks for the token's user, and for the fields of persons.
// https://developers.pipedrive.com/docs/api/v1/PersonFields#getPersonFields
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{c.user(), connectors.Get(c.at("/api/v2/personFields?limit=500")).Named(fields).LimitResponse(maxFields).As(c.auth())}
}

// JudgeCheck returns the fields of the step that the company does not have.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	proof, good := judgeCheck(res, "the persons")
	if !good || nameOf(res) != fields {
		return proof
	}
	type field struct {
		Code string `json:"field_code"`
	}
	var list struct {
		Data []field `json:"data"`
		More struct {
			Cursor *string `json:"next_cursor"`
		} `json:"additional_data"`
	}
	if res.JSON(&list) != nil || list.Data == nil {
		return connectors.UnexpectedAnswer("Pipedrive", "the fields of persons", res)
	}
	for _, name := range c.Fields.Keys() {
		switch {
		case slices.Contains(list.Data, field{name}), !customKey.MatchString(name):
		case list.More.Cursor != nil && *list.More.Cursor != "":
			proof.Unproved = append(proof.Unproved, "that persons have the field "+name+": there are more than 500 fields")
		default:
			proof.Missing = append(proof.Missing, "the field "+name+" of persons")
		}
	}
	return proof
}

// Check asks for the token's user, and for one note.
func (n *Note) Check() []*connectors.Request {
	return []*connectors.Request{n.user(), connectors.Get(n.at("/api/v1/notes?limit=1")).Named(access).As(n.auth())}
}

// JudgeCheck returns what the token's user may not do.
func (n *Note) JudgeCheck(res *connectors.Response) connectors.Proof {
	proof, _ := judgeCheck(res, "the notes")
	return proof
}

// Check asks for the token's user, and for one lead.
func (l *Lead) Check() []*connectors.Request {
	return []*connectors.Request{l.user(), connectors.Get(l.at("/api/v1/leads?limit=1")).Named(access).As(l.auth())}
}

// JudgeCheck returns what the token's user may not do. A lead has the fields of deals, for which the API has no harmless request
// that every user may make.
func (l *Lead) JudgeCheck(res *connectors.Response) connectors.Proof {
	proof, good := judgeCheck(res, "the leads")
	if good && nameOf(res) == access {
		for _, name := range l.Fields.Keys() {
			if customKey.MatchString(name) {
				proof.Unproved = append(proof.Unproved, "that leads have the field "+name)
			}
		}
	}
	return proof
}

func (a *Account) user() *connectors.Request {
	return connectors.Get(a.at("/api/v1/users/me")).Named(owner).As(a.auth())
}

// judgeCheck reads an answer by its status. good is false if the answer proves nothing more.
func judgeCheck(res *connectors.Response, what string) (proof connectors.Proof, good bool) {
	var p problem
	known := res.JSON(&p) == nil && p.Success != nil
	reason := p.reason(connectors.StatusReason(res.Status))
	switch {
	case res.Status == 401:
		return connectors.Missing("a token that Pipedrive accepts (" + reason + ")"), false
	case res.Status == 402:
		return connectors.Missing("an open account (" + reason + ")"), false
	case res.Status == 403 && known && nameOf(res) != owner:
		return connectors.Missing("the permission to see " + what + " (" + reason + ")"), false
	case res.Status < 200 || res.Status > 299:
		return connectors.ProofByStatus(res), false
	case !known || !*p.Success:
		return connectors.UnexpectedAnswer("Pipedrive", "the token's user", res), false
	}
	return connectors.Proof{}, true
}
