package jsonpath

// HasDuplicateKey reports whether an object along a plain path has the path's key more than once, so that two readers may
// disagree on the value. For any other path it reports whether any object in the JSON has a duplicate key. The JSON must be valid
// (see Check).
func HasDuplicateKey(json []byte, path string) bool {
	keys, err := split(path)
	if err != nil {
		return anyDuplicateKey(Parse(json))
	}
	at := Parse(json)
	for _, key := range keys {
		if at.kind == Object {
			found := 0
			at.Each(func(name []byte, _ Result) bool {
				if string(name) == key {
					found++
				}
				return found < 2
			})
			if found > 1 {
				return true
			}
		}
		at = at.Child(key)
	}
	return false
}

// anyDuplicateKey reports whether any object of a value has a duplicate key.
func anyDuplicateKey(v Result) bool {
	seen := map[string]bool{}
	duplicate := false
	v.Each(func(name []byte, member Result) bool {
		if v.kind == Object {
			duplicate = seen[string(name)]
			seen[string(name)] = true
		}
		duplicate = duplicate || anyDuplicateKey(member)
		return !duplicate
	})
	return duplicate
}
