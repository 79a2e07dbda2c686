package document

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/rules/expression"
)

// asErrors is a generic errors.As, for use in a switch.
func asErrors[T error](err error, into *T) bool { return errors.As(err, into) }

var (
	durationType = reflect.TypeFor[time.Duration]()
	prefixType   = reflect.TypeFor[netip.Prefix]()
)

// scalar binds basic types.
func (b *binder) scalar(n *Node, v reflect.Value, name string) {
	t := v.Type()
	if t.Kind() == reflect.Interface {
		if plain := n.plain(); plain != nil {
			v.Set(reflect.ValueOf(plain))
		}
		return
	}
	if n.Kind != Scalar {
		b.fault(b.wrongKind(n, name, "a single value"))
		return
	}
	if n.Unset && t.Kind() != reflect.String {
		return
	}
	switch {
	case t == durationType:
		d, err := ParseDuration(n.Text)
		b.refusedAs(n, name, err)
		v.SetInt(int64(d))
	case t.Kind() == reflect.String:
		if b.options.Partial && strings.Contains(n.Text, "{{") { // of a product, which would receive the hole as it is written
			b.fault(n.Fault("`"+name+"` is used as it is written, and takes no {{ }}", "write it without an expression"))
		}
		v.SetString(n.Text)
	case t.Kind() == reflect.Bool:
		switch strings.ToLower(n.Text) {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			b.fault(n.Fault(fmt.Sprintf("`%s` is neither true nor false", n.shown()), "write true or false"))
		}
	case v.CanInt():
		i, err := strconv.ParseInt(n.Text, 10, t.Bits())
		if err != nil {
			b.fault(n.Fault(fmt.Sprintf("`%s` is not a whole number", n.shown()), ""))
		}
		v.SetInt(i)
	case v.CanUint():
		i, err := strconv.ParseUint(n.Text, 10, t.Bits())
		if err != nil {
			b.fault(n.Fault(fmt.Sprintf("`%s` is not a whole number from 0 up", n.shown()), ""))
		}
		v.SetUint(i)
	case v.CanFloat():
		f, err := strconv.ParseFloat(n.Text, 64)
		if err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			b.fault(n.Fault(fmt.Sprintf("`%s` is not a number", n.shown()), ""))
			return
		}
		v.SetFloat(f)
	default:
		panic(fmt.Sprintf("document: a setting of type %s cannot be bound", t))
	}
}

// prefix parses a network, or a single address as a network of one. IPv4-mapped IPv6 addresses are unmapped, as they are when
// addresses are compared.
func (b *binder) prefix(n *Node, v reflect.Value) {
	p, err := netip.ParsePrefix(n.Text)
	if err != nil {
		address, single := netip.ParseAddr(n.Text)
		if single != nil || address.Zone() != "" {
			b.fault(n.Fault(fmt.Sprintf("`%s` is not a network", n.shown()), "write a network such as 10.0.0.0/8, or one address"))
			return
		}
		p = netip.PrefixFrom(address, address.BitLen())
	}
	if p = p.Masked(); p.Addr().Is4In6() {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	v.Set(reflect.ValueOf(p))
}

// shown returns a scalar's text for a message, with ${NAME} not replaced, because its value may be a secret.
func (n *Node) shown() string {
	text := n.Text
	if n.spans != nil {
		text = n.Written()
	}
	if runes := []rune(text); len(runes) > 60 {
		return string(runes[:59]) + "…"
	}
	return text
}

// plain converts a node to Go's basic types.
func (n *Node) plain() any {
	switch n.Kind {
	case Scalar:
		switch {
		case n.IsBool():
			return strings.EqualFold(n.Text, "true")
		case n.IsNumber():
			if i, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
				return i
			}
			if f, err := strconv.ParseFloat(n.Text, 64); err == nil && !math.IsInf(f, 0) {
				return f
			}
		}
		return n.Text
	case List:
		out := make([]any, len(n.Items))
		for i, item := range n.Items {
			out[i] = item.plain()
		}
		return out
	case Mapping:
		out := make(map[string]any, len(n.Pairs))
		for _, p := range n.Pairs {
			out[p.Key.Text] = p.Value.plain()
		}
		return out
	}
	return nil
}

// values compiles a mapping of values: numbers and booleans are literals, strings are expressions.
func (b *binder) values(n *Node, into *expression.Values, name string) {
	if n.Kind != Mapping {
		b.fault(b.wrongKind(n, name, "a mapping"))
		return
	}
	values, err := expression.CompileValues(b.valuePairs(n))
	if err != nil {
		b.refused(n, err)
		return
	}
	*into = values
}

func (b *binder) valuePairs(n *Node) []expression.Pair {
	var pairs []expression.Pair
	for _, p := range n.Pairs {
		if p.Value.Kind == Null {
			b.fault(b.empty(p.Value, p.Key.Text))
			continue
		}
		pairs = append(pairs, expression.Pair{Key: p.Key.Text, Value: b.value(p.Value)})
	}
	return pairs
}

func (b *binder) value(n *Node) any {
	switch n.Kind {
	case List:
		out := make([]any, 0, len(n.Items))
		for _, item := range n.Items {
			if item.Kind == Null {
				b.fault(b.empty(item, ""))
				continue
			}
			out = append(out, b.value(item))
		}
		return out
	case Mapping:
		return b.valuePairs(n)
	}
	if n.Unset {
		return "''"
	}
	if n.IsNumber() && large.MatchString(n.Text) {
		return json.Number(n.Text)
	}
	return n.plain()
}

// large matches whole numbers that may exceed an int64: a float64 would lose digits.
var large = regexp.MustCompile(`^-?[1-9][0-9]{18,308}$`)

var digits = regexp.MustCompile(`^[0-9]{1,9}$`)

// ParseDuration parses durations in Go's format, extended by days: 90s, 1h30m, 7d.
func ParseDuration(text string) (time.Duration, error) {
	if digits.MatchString(text) && text != "0" {
		return 0, fmt.Errorf("`%s` has no unit; write %ss, %sm, %sh or %sd", text, text, text, text, text)
	}
	days, rest := time.Duration(0), text
	if before, after, ok := strings.Cut(text, "d"); ok {
		n, err := strconv.ParseFloat(before, 64)
		if err != nil || !(n >= 0 && n <= 36500) {
			return 0, fmt.Errorf("`%s` is not a duration; write it as 30s, 5m, 2h or 7d", text)
		}
		if days, rest = time.Duration(n*float64(24*time.Hour)), after; rest == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(rest)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("`%s` is not a duration; write it as 30s, 5m, 2h or 7d", text)
	}
	return days + d, nil
}
