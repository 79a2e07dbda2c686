package connectors

import (
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"sync"
)

var (
	mu       sync.RWMutex
	products = map[string]func() Connector{}

	validName = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z][a-z0-9_]*)?$`)
)

// Register adds a connector under its name in YAML: `product`, or `product.action` for a further action of a product. defaults
// returns a new connector with default settings.
//
// Call Register from an init function. It panics if the name is registered already, or unless it consists of lower-case letters
// and digits and begins with a letter (an action may contain underscores too): the name is used in YAML and as a metric label.
func Register(name string, defaults func() Connector) {
	if !validName.MatchString(name) {
		panic(fmt.Sprintf("connectors: %q is not a valid name for a product or for its action", name))
	}
	mu.Lock()
	defer mu.Unlock()
	if _, taken := products[name]; taken {
		panic(fmt.Sprintf("connectors: %s is registered twice", name))
	}
	products[name] = defaults
}

// New returns a new connector with its default settings. The result is false if the name is not registered.
func New(name string) (Connector, bool) {
	mu.RLock()
	defer mu.RUnlock()
	defaults, ok := products[name]
	if !ok {
		return nil, false
	}
	return defaults(), true
}

// Names returns all registered names, sorted. Actions have the form `product.action`.
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

// Products returns the names of all products that connections may have, sorted: no actions, and not the webhook, which has settings of its
// own.
func Products() []string {
	return slices.DeleteFunc(Names(), func(name string) bool { return strings.Contains(name, ".") || name == "webhook" })
}

// Actions returns the sorted actions of a product, without the product's name. The product's main connector is not among them.
func Actions(product string) []string {
	var actions []string
	for _, name := range Names() {
		if p, action, ok := strings.Cut(name, "."); ok && p == product {
			actions = append(actions, action)
		}
	}
	return actions
}
