package expression

import (
	"fmt"
	"testing"

	"github.com/surveygate/surveygate/rules/jsonpath"
)

// Whole numbers beyond 2^53 are compared by all their digits, in every operator.
func TestLargeNumbers(t *testing.T) {
	t.Parallel()
	ev := parse(t, `{"type":"response.completed","response":{"answers":{"big":9007199254740993,"list":[9007199254740993,1]}},
		"params":{"even":9007199254740992,"odd":9007199254740993,"minus":-9007199254740993,"long":12345678901234567891,"longer":123456789012345678901234567890,
		"power":1.2345678901234567891e19,"point":9007199254740993.0,"round":1e21,"rounded":1000000000000000000000,"half":9007199254740992.5,"text":" 9007199254740993 ","o":{"id":9007199254740993}}}`)
	for text, want := range map[string]Truth{
		"params.odd == 9007199254740993":                           True,
		"params.odd == 9007199254740992":                           False,
		"params.odd != 9007199254740992":                           True,
		"params.even == params.odd":                                False,
		"params.even < params.odd":                                 True,
		"params.odd > 9007199254740992":                            True,
		"params.odd <= 9007199254740992":                           False,
		"params.odd >= 9007199254740994":                           False,
		"params.minus == -9007199254740993":                        True,
		"params.minus < -9007199254740992":                         True,
		"-params.odd == params.minus":                              True,
		"params.odd in [1, 9007199254740993]":                      True,
		"params.odd in [1, 9007199254740992]":                      False,
		"9007199254740993 in answer('list')":                       True,
		"9007199254740992 in answer('list')":                       False,
		"answer('big') == 9007199254740993":                        True,
		"raw('params.odd') == 9007199254740992":                    False,
		"number(params.text) == 9007199254740993":                  True,
		"number(params.text) == 9007199254740992":                  False,
		"number('12345678901234567891') == params.long":            True,
		"number('12345678901234567890') == params.long":            False,
		"number('12345678901234567890') < params.long":             True,
		"params.power == params.long":                              True,
		"params.point == params.odd":                               True,
		"params.point == 9007199254740992":                         False,
		"params.longer > params.long":                              True,
		"number('123456789012345678901234567891') > params.longer": True,
		"params.round == params.rounded":                           True,
		"params.rounded == number('1000000000000000000001')":       False,
		"params.half == 9007199254740992":                          True, // a fraction is what its double is
		"any(answer('list'), # == 9007199254740992)":               False,
	} {
		if got := compile(t, text).Match(ev); got.Truth != want || got.Err != nil {
			t.Errorf("%s is %+v, want %v", text, got, want)
		}
	}
	for text, want := range map[string]string{
		"{{ params.odd }} {{ -params.odd }} {{ params.long }} {{ number(params.text) }} {{ 9007199254740993 }}": "9007199254740993 -9007199254740993 12345678901234567891 9007199254740993 9007199254740993",
		"{{ params.power }} {{ params.point }} {{ answer('list') }} {{ params.o }}":                             `12345678901234567891 9007199254740993 9007199254740993, 1 {"id":9007199254740993}`,
	} {
		if got, err := MustText(text).Render(ev); err != nil || got != want {
			t.Errorf("%s is %q, %v; want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"params.odd": "9007199254740993", "-params.long": "-12345678901234567891", "answer('list')": "[9007199254740993 1]", "params.power": "12345678901234567891",
	} {
		v, err := CompileValue(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok, err := v.Evaluate(ev); !ok || err != nil || fmt.Sprint(got) != want {
			t.Errorf("%s is %v, %v; want %s", text, got, err, want)
		}
	}
}

// The index of rules compares numbers by all their digits.
func TestLargeNumbersAreIndexed(t *testing.T) {
	t.Parallel()
	key := func(text string) Key { v := numberOfText(text); return keyOf(&v) }
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"9007199254740993", "9007199254740992", false},
		{"9007199254740993", "9007199254740993", true},
		{"1e21", "1000000000000000000000", true},
		{"9007199254740993.0", "9007199254740993", true},
		{"9007199254740992", "9007199254740992.0", true},
	} {
		if got := key(c.a) == key(c.b); got != c.same {
			t.Errorf("%s and %s are one key: %v", c.a, c.b, got)
		}
	}
}

func numberOfText(text string) value { return numberOf(jsonpath.Parse([]byte(text))) }
