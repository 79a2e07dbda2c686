package config

// Public is what everybody may know the names of: the sources and destinations that the files define for the default tenant. What
// other tenants have, and what documents define, is known to its tenant alone.
type Public struct{ sources, destinations map[string]bool }

// NewPublic returns what is public of a configuration.
func NewPublic(c *Config) *Public {
	p := &Public{sources: map[string]bool{}, destinations: map[string]bool{}}
	for _, s := range c.Sources {
		if s.Tenant == DefaultTenant {
			p.sources[s.Name] = true
		}
	}
	for _, d := range c.Destinations {
		if d.Tenant == DefaultTenant {
			p.destinations[d.Name] = true
		}
	}
	return p
}

// Source reports whether a source is public. A nil Public has none.
func (p *Public) Source(tenant, name string) bool {
	return p != nil && tenant == DefaultTenant && p.sources[name]
}

// Destination reports whether a connection or webhook is public. A nil Public has none.
func (p *Public) Destination(tenant, name string) bool {
	return p != nil && tenant == DefaultTenant && p.destinations[name]
}
