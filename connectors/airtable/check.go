package airtable

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/surveygate/surveygate/connectors"
)

const (
	owner  = "owner"
	schema = "schema"

	writeScope  = "data.records:write"
	schemaScope = "schema.bases:read"
)

// Check asks for the token's owner, which needs no scope, and for the base's tables.
// https://airtable.com/developers/web/api/get-base-schema
func (c *Connector) Check() []*connectors.Request {
	return []*connectors.Request{
		connectors.Get(c.BaseURL.At(api, "/meta/whoami")).Named(owner).As(connectors.Bearer(c.Token)),
		connectors.Get(c.BaseURL.At(api, "/meta/bases/"+c.Base+"/tables")).Named(schema).LimitResponse(maxSchema).As(connectors.Bearer(c.Token)),
	}
}

// maxSchema is the size in bytes of a large base's schema.
const maxSchema = 4 << 20

// JudgeCheck returns the scope, the table and the columns that are missing, each column with its type.
func (c *Connector) JudgeCheck(res *connectors.Response) connectors.Proof {
	isSchema := res.To != nil && res.To.Name == schema
	switch {
	case res.Status == 401:
		return connectors.Missing("a token that Airtable accepts (" + c.reason(res, read(res)) + ")")
	case isSchema && (res.Status == 403 || res.Status == 404):
		return connectors.Proof{Unproved: []string{"that the table and its columns exist: the token lacks the scope " + schemaScope + ", or the base " + c.Base + " is not granted to it"}}
	case res.Status < 200 || res.Status > 299:
		return connectors.ProofByStatus(res)
	case isSchema:
		return c.checkTable(res)
	}
	var who struct {
		ID     string   `json:"id"`
		Scopes []string `json:"scopes"`
	}
	if res.JSON(&who) != nil || who.ID == "" {
		return connectors.UnexpectedAnswer("Airtable", "the token's owner", res)
	}
	if who.Scopes != nil && !slices.Contains(who.Scopes, writeScope) { // Airtable leaves the list out for some tokens
		return connectors.Missing("the scope " + writeScope)
	}
	return connectors.Proof{}
}

type table struct {
	ID     string  `json:"id"`
	Name   string  `json:"name"`
	Fields []field `json:"fields"`
}

type field struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Type string `json:"type"`
}

// checkTable compares the table's columns with those that the step writes.
func (c *Connector) checkTable(res *connectors.Response) (proof connectors.Proof) {
	var base struct {
		Tables []table `json:"tables"`
	}
	if res.JSON(&base) != nil || base.Tables == nil {
		return connectors.UnexpectedAnswer("Airtable", "the base's tables", res)
	}
	at := slices.IndexFunc(base.Tables, func(t table) bool { return t.ID == c.Table || t.Name == c.Table })
	if at < 0 {
		return connectors.Missing("the table " + c.Table)
	}
	find := func(name string) (field, bool) {
		fields := base.Tables[at].Fields
		i := slices.IndexFunc(fields, func(f field) bool { return f.ID == name || f.Name == name })
		if i < 0 {
			return field{}, false
		}
		return fields[i], true
	}
	for _, column := range c.standard() {
		switch f, ok := find(column.name); {
		case !ok:
			proof.Missing = append(proof.Missing, fmt.Sprintf("the column %s (%s)", column.name, column.kind))
		case !c.Typecast && !slices.Contains(accepted[column.kind], f.Type):
			proof.Missing = append(proof.Missing, fmt.Sprintf("the type %s of the column %s, which is %s", column.kind, column.name, f.Type))
		}
	}
	for _, name := range c.Fields.Keys() {
		switch f, ok := find(name); {
		case !ok:
			proof.Missing = append(proof.Missing, "the column "+name)
		case slices.Contains(computed, f.Type):
			proof.Missing = append(proof.Missing, fmt.Sprintf("a column %s that can be written: it is %s, which Airtable computes", name, f.Type))
		}
	}
	for _, name := range c.MergeOn {
		f, ok := find(name)
		if !ok && !slices.Contains(c.names(), name) { // those in names are reported above
			proof.Missing = append(proof.Missing, "the column "+name)
		}
		if ok && !slices.Contains(mergeable, f.Type) {
			proof.Unproved = append(proof.Unproved, fmt.Sprintf("that Airtable merges on the column %s of the type %s", name, cmp.Or(f.Type, "unknown")))
		}
	}
	return proof
}

// The names of types in a base's schema. https://airtable.com/developers/web/api/model/field-type
var (
	texts    = []string{"singleLineText", "multilineText", "richText", "email", "phoneNumber", "url"}
	computed = []string{
		"formula", "rollup", "count", "multipleLookupValues", "autoNumber", "createdTime", "lastModifiedTime", "createdBy",
		"lastModifiedBy", "button", "aiText", "externalSyncSource",
	}

	// accepted are the types that take a standard column's value, by the column's own type.
	accepted = map[string][]string{
		"single line text": texts, "long text": texts, "email": texts, "phone number": texts,
		"number":        {"number", "rating", "percent", "currency"},
		"date and time": {"dateTime", "date"},
	}

	// mergeable are the types of `merge_on`. https://airtable.com/developers/web/api/update-multiple-records
	mergeable = []string{"number", "singleLineText", "multilineText", "singleSelect", "multipleSelects", "date"}
)
