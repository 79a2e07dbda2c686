package expression

import "slices"

// domain holds the values that a part of a condition may still have, given what is required of it.
type domain struct {
	absent bool  // it may be absent
	kinds  kinds // it may have these kinds
	nums   ranges
	// words are the only texts that it may be, if limited. tests are required of the text besides.
	words   []string
	limited bool
	tests   []func(string) bool
	yes, no bool // as true or false, it may be this
}

// isEmpty reports whether nothing is left.
func (d *domain) isEmpty() bool {
	return !d.absent && !d.hasNumber() && !d.hasText() && !d.hasBoolean() && d.kinds&(lists|objects) == 0
}

func (d *domain) hasNumber() bool  { return d.kinds.has(number) && len(d.nums) > 0 }
func (d *domain) hasBoolean() bool { return d.kinds.has(boolean) && (d.yes || d.no) }

func (d *domain) hasText() bool {
	return d.kinds.has(text) && (!d.limited || len(d.possible()) > 0)
}

// possible returns the words that pass all tests.
func (d *domain) possible() []string {
	var left []string
	for _, w := range d.words {
		if !slices.ContainsFunc(d.tests, func(passes func(string) bool) bool { return !passes(w) }) {
			left = append(left, w)
		}
	}
	return left
}

// limit allows only some texts.
func (d *domain) limit(words []string) {
	if d.limited {
		words = slices.DeleteFunc(slices.Clone(d.words), func(w string) bool { return !slices.Contains(words, w) })
	}
	d.words, d.limited = words, true
}

func (d *domain) test(passes func(string) bool) { d.tests = append(slices.Clip(d.tests), passes) }

// demand is what a comparison with constants requires of a value, for the results that are wanted.
type demand struct {
	// kinds are those that the constants have. A value of another kind, and an absent one, make the result unknown.
	kinds kinds
	// is changes a domain to the values for which the result is true, isNot to those for which it is false. They do not look at
	// other kinds than theirs.
	is, isNot func(d *domain)
}

// apply restricts a domain to the values for which the result is one of wanted.
func (want demand) apply(d *domain, wanted truths) {
	if !wanted.has(Unknown) {
		d.absent = false
		d.kinds &= want.kinds
	}
	switch {
	case wanted.has(True) && wanted.has(False):
	case wanted.has(True):
		want.is(d)
	case wanted.has(False):
		want.isNot(d)
	default:
		d.kinds &^= want.kinds
	}
}

// compared is the demand of `x code constant`.
func compared(code uint8, with *value) demand {
	side := func(code uint8) func(d *domain) {
		switch with.kind {
		case number:
			n := with.num
			return func(d *domain) { d.nums = d.nums.and(numbersWhere(code, n)) }
		case text:
			word := with.str
			return func(d *domain) {
				if code == codeEqual {
					d.limit([]string{word})
					return
				}
				d.test(func(s string) bool { return order(code, s < word, s == word) })
			}
		}
		yes := with.yes == (code == codeEqual)
		return func(d *domain) { d.yes, d.no = d.yes && yes, d.no && !yes }
	}
	return demand{kinds: with.kind.set(), is: side(code), isNot: side(opposite[code])}
}

// within is the demand of `x in [constants]`.
func within(items []*node) demand {
	var nums []float64
	var words []string
	var yes, no bool
	var contained kinds
	for _, item := range items {
		contained |= item.lit.kind.set()
		switch item.lit.kind {
		case number:
			nums = append(nums, item.lit.num)
		case text:
			words = append(words, item.lit.str)
		case boolean:
			yes, no = yes || item.lit.yes, no || !item.lit.yes
		}
	}
	return demand{
		kinds: contained,
		is: func(d *domain) {
			if contained.has(number) {
				d.nums = d.nums.and(oneOf(nums))
			}
			if contained.has(text) {
				d.limit(words)
			}
			if contained.has(boolean) {
				d.yes, d.no = d.yes && yes, d.no && no
			}
		},
		isNot: func(d *domain) {
			d.nums = d.nums.and(noneOf(nums))
			d.test(func(s string) bool { return !slices.Contains(words, s) })
			d.yes, d.no = d.yes && !yes, d.no && !no
		},
	}
}

// tested is the demand of a question about a text.
func tested(passes func(string) bool) demand {
	return demand{
		kinds: texts,
		is:    func(d *domain) { d.test(passes) },
		isNot: func(d *domain) { d.test(func(s string) bool { return !passes(s) }) },
	}
}

// decided is the demand of a value that is true or false itself.
func decided() demand {
	return demand{
		kinds: booleans,
		is:    func(d *domain) { d.no = false },
		isNot: func(d *domain) { d.yes = false },
	}
}
