package event

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

func (w *writer) number() error {
	start := w.i
	for w.i < len(w.in) {
		c := w.in[w.i]
		if c >= '0' && c <= '9' || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E' {
			w.i++
			continue
		}
		break
	}
	token := w.in[start:w.i]
	if !jsonpath.IsNumber(token) {
		w.i = start
		return w.fault()
	}
	w.out = appendNumber(w.out, token, w.exact, w.digits)
	return nil
}

// appendNumber appends a JSON number in the form in which JavaScript prints it. If that would change its value, exact keeps the
// number as it is; without exact, digits decides the form of a whole number.
func appendNumber(out, token []byte, exact bool, digits Digits) []byte {
	if shortInteger(token) {
		return append(out, token...)
	}
	f, err := strconv.ParseFloat(string(token), 64)
	if err != nil { // too large
		if exact {
			return append(out, token...)
		}
		if digits != RoundDigits && onlyDigits(token) {
			return appendDigits(out, token, digits)
		}
		return append(out, "null"...)
	}
	at := len(out)
	out = appendFloat(out, f)
	if !exact && (digits == RoundDigits || f > -(1<<53) && f < 1<<53) || sameNumber(token, out[at:]) {
		return out
	}
	if exact {
		return append(out[:at], token...)
	}
	if isWhole(token) {
		return appendDigits(out[:at], token, digits)
	}
	return out
}

// appendDigits appends all digits of a whole number.
func appendDigits(out, token []byte, digits Digits) []byte {
	if digits == TextDigits {
		return append(append(append(out, '"'), token...), '"')
	}
	return append(out, token...)
}

// isWhole reports whether a number's value has no fraction, in any notation.
func isWhole(token []byte) bool {
	_, exponent, _, err := decimal(token)
	return err == nil && exponent >= 0
}

// onlyDigits reports whether a number is written without a point and an exponent.
func onlyDigits(token []byte) bool { return !bytes.ContainsAny(token, ".eE") }

// shortInteger reports whether token is an integer that a double represents exactly and JavaScript prints unchanged.
func shortInteger(token []byte) bool {
	if len(token) > 15 {
		return false
	}
	if token[0] == '-' {
		if token = token[1:]; token[0] == '0' {
			return false // -0 is 0
		}
	}
	for _, c := range token {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// appendFloat appends a finite number in the form of ECMAScript's Number::toString.
// https://tc39.es/ecma262/#sec-numeric-types-number-tostring
func appendFloat(out []byte, f float64) []byte {
	if f == 0 {
		return append(out, '0') // also -0
	}
	abs := f
	if abs < 0 {
		abs = -abs
	}
	if abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(out, f, 'f', -1, 64)
	}
	out = strconv.AppendFloat(out, f, 'e', -1, 64)
	// Go writes two digits of exponent at least: e-09 is e-9.
	if n := len(out); n >= 4 && out[n-2] == '0' && (out[n-3] == '-' || out[n-3] == '+') {
		out[n-2] = out[n-1]
		out = out[:n-1]
	}
	return out
}

// sameNumber reports whether two JSON numbers have the same decimal value, with arbitrary precision.
func sameNumber(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	da, ea, na, err := decimal(a)
	db, eb, nb, err2 := decimal(b)
	return err == nil && err2 == nil && na == nb && ea == eb && bytes.Equal(da, db)
}

// decimal returns a number as digits without zeros at either end, and the power of ten of the last digit.
func decimal(token []byte) (digits []byte, exponent int, negative bool, err error) {
	if token[0] == '-' {
		negative, token = true, token[1:]
	}
	if i := bytes.IndexAny(token, "eE"); i >= 0 {
		if exponent, err = strconv.Atoi(string(token[i+1:])); err != nil {
			return nil, 0, false, errors.New("exponent")
		}
		token = token[:i]
	}
	whole, fraction, _ := bytes.Cut(token, []byte("."))
	digits = append(append(digits, whole...), fraction...)
	exponent -= len(fraction)
	for len(digits) > 0 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
		exponent++
	}
	if digits = bytes.TrimLeft(digits, "0"); len(digits) == 0 {
		return nil, 0, false, nil
	}
	return digits, exponent, negative, nil
}
