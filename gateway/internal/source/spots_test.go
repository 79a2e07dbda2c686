package source

import (
	"strings"
	"testing"
)

// TestSpots: which places of a body a path reads.
func TestSpots(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"a.b":                          "a.b",
		`a\.b.c`:                       "[a.b].c",
		"list.#.x":                     "list.#.x",
		"list.#":                       "list",
		"list.0.x":                     "list.0.x",
		`list.#(type=="nps").value`:    "list.#.type? list.#.value?",
		`list.#(a.b>1)#.c`:             "list.#.a.b? list.#.c?",
		`l.#(a=="x.y|z")#|#(b=="")#.c`: "l.#.a? l.#.b? l.#.c?",
		"list.#.x|0":                   "list.#.x",
		"list.#.x|0.y":                 "list.#.x.y",
		"pages.#.questions|@flatten":   "pages.#.questions",
		"[a.b,list.#.c]|@flatten":      "a.b list.#.c",
		`{"x":a.b,"y":c}`:              "a.b c",
		"event.@keys.0":                "",
		"a.@values.0":                  "a*",
		"a.b*.c":                       "a*",
		"@values.0":                    "",
		"*.id":                         "",
		"@this":                        "",
	} {
		var got []string
		for _, spot := range spots(path) {
			var all []string
			for _, s := range spot.steps {
				switch {
				case s.every:
					all = append(all, "#")
				case strings.Contains(s.key, "."):
					all = append(all, "["+s.key+"]")
				default:
					all = append(all, s.key)
				}
			}
			text := strings.Join(all, ".")
			if spot.queried {
				text += "?"
			}
			if spot.whole {
				text += "*"
			}
			got = append(got, text)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%s reads %q, want %q", path, text, want)
		}
	}
}
