package expression

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"
)

// maxDigits is the largest number of digits that are kept of a whole number. No double is longer.
const maxDigits = 309

// digitsOf returns the digits of a whole number that a double does not represent exactly, or that would be written differently;
// "" for others. A number with a fraction is rounded to the nearest double.
func digitsOf(token string, n float64) string {
	plain := strings.Trim(strings.TrimPrefix(token, "-"), "0123456789") == ""
	if plain {
		if len(token) > maxDigits+1 || string(appendNumber(nil, n)) == token {
			return ""
		}
		return token
	}
	whole, ok := wholeText(token)
	if !ok {
		return ""
	}
	if v := (value{kind: number, num: n, str: whole}); v.inexact() == "" {
		return ""
	}
	return whole
}

// wholeText writes a number with a point or an exponent as a whole number. It returns false if it has a fraction or too many
// digits.
func wholeText(token string) (string, bool) {
	sign := ""
	if rest, negative := strings.CutPrefix(token, "-"); negative {
		sign, token = "-", rest
	}
	exponent := 0
	if i := strings.IndexAny(token, "eE"); i >= 0 {
		n, err := strconv.Atoi(token[i+1:])
		if err != nil || n > maxDigits || n < -maxDigits {
			return "", false
		}
		exponent, token = n, token[:i]
	}
	before, after, _ := strings.Cut(token, ".")
	after = strings.TrimRight(after, "0")
	if exponent < len(after) || len(before)+exponent > maxDigits {
		return "", false
	}
	digits := strings.TrimLeft(before+after, "0") + strings.Repeat("0", exponent-len(after))
	return sign + digits, digits != ""
}

// wholeValue returns the value of a whole number from the configuration.
func wholeValue(n int) value {
	v := numberValue(float64(n))
	if text := strconv.Itoa(n); len(text) > 15 {
		v.str = digitsOf(text, v.num)
	}
	return v
}

// negated returns a number with the opposite sign.
func negated(v *value) value {
	out := numberValue(-v.num)
	if rest, negative := strings.CutPrefix(v.str, "-"); negative {
		out.str = rest
	} else if v.str != "" {
		out.str = "-" + v.str
	}
	return out
}

// compareNumbers compares two numbers by their exact values. Whole numbers that round to the same double are compared by their
// digits.
func compareNumbers(a, b *value) int {
	if a.num != b.num || a.str == b.str {
		return cmp.Compare(a.num, b.num)
	}
	return a.whole().Cmp(b.whole())
}

// whole returns a whole number with all its digits.
func (v *value) whole() *big.Int {
	if n, ok := new(big.Int).SetString(v.str, 10); ok {
		return n
	}
	n, _ := big.NewFloat(v.num).Int(nil)
	return n
}

// inexact returns the digits of a number that its double does not represent exactly; "" if it does.
func (v *value) inexact() string {
	if v.str == "" {
		return ""
	}
	if n, _ := big.NewFloat(v.num).Int(nil); n.Cmp(v.whole()) == 0 {
		return ""
	}
	return v.str
}
