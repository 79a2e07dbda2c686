package connectors

import (
	"fmt"
	"regexp"
	"sort"
	"strings"
	"sync"
)

var (
	mu       sync.RWMutex
	products = map[string]func() Connector{}

	wellFormed = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z][a-z0-9_]*)?$`)
)

// Register makes a product known by its name in YAML, or one of its actions as `product.action`.
// The function returns a new connector with its defaults. It panics on a name taken twice, or one that could
// not be written in YAML or stand as a label of a metric.
func Register(name string, defaults func() Connector) {
	if !wellFormed.MatchString(name) {
		panic(fmt.Sprintf("connectors: %q is no name of a product or of its action", name))
	}
	mu.Lock()
	defer mu.Unlock()
	if _, taken := products[name]; taken {
		panic(fmt.Sprintf("connectors: %s is registered twice", name))
	}
	products[name] = defaults
}

// New is a connector with its defaults; false where nothing of that name is registered.
func New(name string) (Connector, bool) {
	mu.RLock()
	defer mu.RUnlock()
	defaults, ok := products[name]
	if !ok {
		return nil, false
	}
	return defaults(), true
}

// Names are all that is registered, in order; actions are `product.action`.
func Names() []string {
	mu.RLock()
	defer mu.RUnlock()
	names := make([]string, 0, len(products))
	for name := range products {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Actions are the actions of a product, without its name.
func Actions(product string) []string {
	var actions []string
	for _, name := range Names() {
		if p, action, ok := strings.Cut(name, "."); ok && p == product {
			actions = append(actions, action)
		}
	}
	return actions
}
