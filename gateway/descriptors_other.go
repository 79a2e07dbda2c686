//go:build !unix

package gateway

// descriptorLimit is how many handles the process may have: more than it ever needs.
func descriptorLimit() (int, error) { return mostDescriptors, nil }
