package portal

import (
	"fmt"
	"math"
	"regexp"
	"strconv"

	"github.com/gofiber/fiber/v2"
)

var accentFile = regexp.MustCompile(`^[0-9a-f]{6}\.css$`)

// accent answers with the style sheet of a colour. It is the same for everybody.
func accent(c *fiber.Ctx) error {
	file := c.Params("file")
	if !accentFile.MatchString(file) {
		return fiber.ErrNotFound
	}
	value, err := strconv.ParseUint(file[:6], 16, 32)
	if err != nil {
		return fiber.ErrNotFound
	}
	c.Set(fiber.HeaderContentType, "text/css; charset=utf-8")
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderCacheControl, "public, max-age=31536000, immutable")
	return c.SendString(accentSheet(colour{float64(value >> 16), float64(value >> 8 & 0xff), float64(value & 0xff)}))
}

// colour has its parts from 0 to 255.
type colour [3]float64

var (
	black, white = colour{0, 0, 0}, colour{255, 255, 255}
	// The grounds that accented text stands on which are nearest to it: those of rows under the pointer, of both themes.
	lightGround, darkGround = colour{0xee, 0xf2, 0xf1}, colour{0x1d, 0x27, 0x25}
)

// readable is the least contrast of text.
const readable = 4.5

// accentSheet is the style sheet of a colour: a shade for text in each theme, and the colour itself for buttons, with text that can be
// read on it.
func accentSheet(c colour) string {
	on := white
	if contrast(black, c) > contrast(white, c) {
		on = black
	}
	return fmt.Sprintf(":root{--accent:light-dark(%s,%s);--brand:%s}@layer parts{.btn.main{background:%s;color:%s}.btn.main:hover{background:%s}.top{border-top:3px solid %s}}\n",
		c.shade(black, lightGround), c.shade(white, darkGround), c, c, on, c.mixed(on, 0.12).keeping(on), c)
}

// shade mixes a colour with another until it can be read on a ground.
func (c colour) shade(with, ground colour) colour {
	for part := 0.0; part < 1; part += 0.02 {
		if mixed := c.mixed(with, part); contrast(mixed, ground) >= readable {
			return mixed
		}
	}
	return with
}

// keeping returns the colour, or what is further from the text on it if that could not be read.
func (c colour) keeping(text colour) colour {
	away := white
	if text == white {
		away = black
	}
	return c.shade(away, text)
}

// mixed returns the colour with a part of another.
func (c colour) mixed(with colour, part float64) (mixed colour) {
	for i := range c {
		mixed[i] = math.Round(c[i]*(1-part) + with[i]*part)
	}
	return mixed
}

func (c colour) String() string {
	return fmt.Sprintf("#%02x%02x%02x", int(c[0]), int(c[1]), int(c[2]))
}

// contrast is that of two colours, from 1 to 21: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
func contrast(a, b colour) float64 {
	la, lb := a.luminance(), b.luminance()
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func (c colour) luminance() float64 {
	linear := func(v float64) float64 {
		if v /= 255; v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c[0]) + 0.7152*linear(c[1]) + 0.0722*linear(c[2])
}
