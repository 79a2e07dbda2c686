package portal

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"
)

var (
	accents = regexp.MustCompile(`--accent:light-dark\(#(\w{6}),#(\w{6})\)`)
	buttons = regexp.MustCompile(`background:#(\w{6});color:#(\w{6})`)
	pointed = regexp.MustCompile(`:hover\{background:#(\w{6})`)
)

// Whatever colour a platform chooses, text in it and on it can be read, in both themes.
func TestAccentIsReadable(t *testing.T) {
	t.Parallel()
	parse := func(text string) colour {
		value, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		return colour{float64(value >> 16), float64(value >> 8 & 0xff), float64(value & 0xff)}
	}
	for value := 0; value <= 0xffffff; value += 0x0d0b07 {
		c := parse(fmt.Sprintf("%06x", value))
		sheet := accentSheet(c)
		shades, button, hover := accents.FindStringSubmatch(sheet), buttons.FindStringSubmatch(sheet), pointed.FindStringSubmatch(sheet)
		if shades == nil || button == nil || hover == nil {
			t.Fatal(sheet)
		}
		on := parse(button[2])
		for what, got := range map[string]float64{
			"text in the light theme": contrast(parse(shades[1]), lightGround), "text in the dark theme": contrast(parse(shades[2]), darkGround),
			"a button": contrast(parse(button[1]), on), "a button under the pointer": contrast(parse(hover[1]), on),
		} {
			if got < readable {
				t.Errorf("%s, %s: contrast %.2f", c, what, got)
			}
		}
	}
}
