package settings

import "encoding/json"

// MergePatch applies a merge patch (RFC 7396) to a JSON value.
func MergePatch(target, patch []byte) ([]byte, error) {
	into, err := parseTree(target)
	if err != nil {
		return nil, err
	}
	changes, err := parseTree(patch)
	if err != nil {
		return nil, err
	}
	return writeTree(mergePatch(into, changes)), nil
}

// ChangedPaths returns the paths at which two JSON values differ; nil if one of them is nil.
func ChangedPaths(before, after json.RawMessage) []string { return changedPaths(before, after) }
