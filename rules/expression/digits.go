package expression

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"
)

// maxDigits is how long a whole number may be whose digits are kept: no double is longer.
const maxDigits = 309

// digitsOf are the digits of a whole number that a double does not hold, or would be written otherwise; else empty. A number
// with a fraction is what the nearest double is.
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

// wholeText writes a number with a point or an exponent as a whole one; false where it is none, or is too long.
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

// wholeValue is a whole number of the configuration.
func wholeValue(n int) value {
	v := numberValue(float64(n))
	if text := strconv.Itoa(n); len(text) > 15 {
		v.str = digitsOf(text, v.num)
	}
	return v
}

// negated is a number with the other sign.
func negated(v *value) value {
	out := numberValue(-v.num)
	if rest, negative := strings.CutPrefix(v.str, "-"); negative {
		out.str = rest
	} else if v.str != "" {
		out.str = "-" + v.str
	}
	return out
}

// compareNumbers orders two numbers by what they say. Two whole numbers that are one double differ by their digits.
func compareNumbers(a, b *value) int {
	if a.num != b.num || a.str == b.str {
		return cmp.Compare(a.num, b.num)
	}
	return a.whole().Cmp(b.whole())
}

// whole is a whole number with all its digits.
func (v *value) whole() *big.Int {
	if n, ok := new(big.Int).SetString(v.str, 10); ok {
		return n
	}
	n, _ := big.NewFloat(v.num).Int(nil)
	return n
}

// inexact are the digits of a number that its double does not hold; empty where it does.
func (v *value) inexact() string {
	if v.str == "" {
		return ""
	}
	if n, _ := big.NewFloat(v.num).Int(nil); n.Cmp(v.whole()) == 0 {
		return ""
	}
	return v.str
}
