package jsonpath

// HasDuplicateKey says whether a key on the way of a path stands twice in its object, so that two readers may disagree on what the
// path leads to. Of a path that is more than keys with dots between them it says so of every key in the JSON. The JSON
// must have been checked before.
func HasDuplicateKey(json []byte, path string) bool {
	keys, err := split(path)
	if err != nil {
		return anyTwice(Parse(json))
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

// anyTwice says whether a key stands twice in any object of a value.
func anyTwice(v Result) bool {
	seen := map[string]bool{}
	twice := false
	v.Each(func(name []byte, member Result) bool {
		if v.kind == Object {
			twice = seen[string(name)]
			seen[string(name)] = true
		}
		twice = twice || anyTwice(member)
		return !twice
	})
	return twice
}
