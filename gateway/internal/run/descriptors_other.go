//go:build !unix

package run

// descriptorLimit is how many handles the process may have: more than it ever needs.
func descriptorLimit() (int, error) { return mostDescriptors, nil }
