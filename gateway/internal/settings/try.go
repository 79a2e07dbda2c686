package settings

import (
	"context"

	"github.com/surveygate/surveygate/gateway/config"
	"github.com/surveygate/surveygate/gateway/internal/audit"
)

// Tried is what a tenant's documents compile to, without and with changes that are not made.
type Tried struct {
	// Base is the configuration of the files that both were compiled over.
	Base          *config.Config
	Before, After *config.TenantConfig
	// Results are those that the changes would have, in their order.
	Results []Result
	// Rules are the rules among the changes as they will be; nil for a change of something else, and for a deletion.
	Rules []*config.Rule
}

// Try compiles changes as Apply does and changes nothing. Its errors are those of Apply: what Apply would refuse cannot be tried, but a
// rule whose own tests fail. With variables, ${NAME} is no fault: what depends on its value is not checked.
func (b *Book) Try(ctx context.Context, tenant string, changes []Change, by audit.By, variables bool) (*Tried, error) {
	p, err := b.plan(ctx, tenant, changes, How{By: by, Provenance: "api", DryRun: true, Untested: true, MakeSecrets: true, variables: variables})
	if err != nil {
		return nil, err
	}
	tried := &Tried{Base: p.base, Before: p.was, After: p.overlay, Results: p.results(), Rules: make([]*config.Rule, len(p.changes))}
	for i, c := range p.changes {
		if Kind(c.Name) == "rule" && !c.Delete {
			tried.Rules[i] = p.rule(c.Name)
		}
	}
	return tried, nil
}
