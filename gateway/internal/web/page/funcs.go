package page

import (
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"math"
	"net/http"
	"net/url"
	"path"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/view"
)

// funcs are the functions of templates.
func (s *Site) funcs() template.FuncMap {
	return template.FuncMap{
		// nonce is the value of hx-nonce, without which htmx ignores an element.
		"nonce": func() string { return s.marks.nonce },
		// once is a field of a form that acts: sent twice, such as by a double click, the form acts once.
		"once": func() template.HTML {
			return template.HTML(`<input type="hidden" name="` + onceField + `" value="` + s.marks.once + `">`) //nolint:gosec // both are our own
		},
		// base is the path that the tenant's pages begin with; root that of the site; below that of the gateway, such as for /v1.
		"base":  func() string { return s.marks.base },
		"root":  func() string { return s.marks.below + s.Root },
		"below": func() string { return s.marks.below },
		"asset": s.asset,
		"dict":  dict,
		"query": query,
		"seg":   url.PathEscape,
		"time":  s.time,
		"clock": func(t any) template.HTML { return timeTag(moment(t), "clock", s.Clock.Now()) },
		"ago":   func(t any) string { return Ago(s.Clock.Now().Sub(moment(t))) },
		"until": func(t any) string { return Until(moment(t).Sub(s.Clock.Now())) },
		"long":  func(d any) string { return Long(length(d)) },
		"ms":    Milliseconds, "num": Number, "percent": Percent, "bytes": Bytes,
		"msg": message, "hourly": func(t any) template.HTML { return hourly(moment(t), s.Clock.Now()) },
		"plural": plural, "join": strings.Join, "json": indented, "excerpt": excerpt, "short": short, "lower": strings.ToLower,
		"isCut": IsCut, "statusText": statusText, "look": lookOf, "icon": icon, "symbols": symbols, "contains": contains, "basename": path.Base, "has": strings.Contains, "add": func(a, b int) int { return a + b },
	}
}

// asset returns the address of a file in assets.
func (s *Site) asset(name string) (string, error) {
	hashed, ok := s.assets.names[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	return s.marks.below + s.Root + "/assets/" + hashed, nil
}

// dict makes a map for a definition: names and values in turn.
func dict(pairs ...any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("dict takes names and values in turn, and has %d", len(pairs))
	}
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("dict: %v is no name", pairs[i])
		}
		m[name] = pairs[i+1]
	}
	return m, nil
}

// query writes the query of an address, with its question mark; values that are empty or 0 are left out.
func query(pairs ...any) (template.URL, error) {
	if len(pairs)%2 != 0 {
		return "", fmt.Errorf("query takes names and values in turn, and has %d", len(pairs))
	}
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if v := reflect.ValueOf(pairs[i+1]); v.IsValid() && !v.IsZero() {
			q.Set(fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1]))
		}
	}
	if len(q) == 0 {
		return "", nil
	}
	return template.URL("?" + q.Encode()), nil //nolint:gosec // it is escaped
}

// moment returns the time of a value; zero if it has none.
func moment(t any) time.Time {
	switch t := t.(type) {
	case time.Time:
		return t
	case *time.Time:
		if t != nil {
			return *t
		}
	case view.Time:
		return t.Time
	case *view.Time:
		if t != nil {
			return t.Time
		}
	}
	return time.Time{}
}

// length returns a duration: of a time.Duration, or a number of seconds.
func length(d any) time.Duration {
	switch d := d.(type) {
	case time.Duration:
		return d
	case int64:
		return time.Duration(d) * time.Second
	case int:
		return time.Duration(d) * time.Second
	case float64:
		return time.Duration(d * float64(time.Second))
	}
	return 0
}

// time writes a time as how long ago it is, with the whole of it as a title.
func (s *Site) time(t any) template.HTML { return timeTag(moment(t), "ago", s.Clock.Now()) }

// timeTag writes a time element: as a "clock", as how long "ago" it is, or as another text.
func timeTag(t time.Time, form string, now time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="soft">–</span>`
	}
	t = t.UTC()
	text, mark := form, ""
	switch form {
	case "clock":
		text, mark = clockText(t, now), ` data-form="clock"`
	case "ago":
		if d := now.Sub(t); d < 0 {
			text = Until(-d)
		} else {
			text = Ago(d)
		}
	}
	return template.HTML(`<time datetime="` + t.Format("2006-01-02T15:04:05.000Z") + `" title="` + t.Format("2006-01-02 15:04:05.000") + ` UTC"` + mark + `>` + text + `</time>`) //nolint:gosec // times have no markup
}

// hourly writes a time of which only the hour is known.
func hourly(t, now time.Time) template.HTML {
	if d := now.Sub(t); d >= 0 && d < time.Hour {
		return timeTag(t, "within the hour", now)
	}
	return timeTag(t, "ago", now)
}

// message writes a sentence in which names stand between backticks, as the API writes them.
func message(text string) template.HTML {
	parts := strings.Split(text, "`")
	if len(parts)%2 == 0 { // one is left over
		return template.HTML(template.HTMLEscapeString(text)) //nolint:gosec // it is escaped
	}
	var b strings.Builder
	for i, part := range parts {
		if i%2 == 1 {
			b.WriteString("<code>" + template.HTMLEscapeString(part) + "</code>")
			continue
		}
		b.WriteString(template.HTMLEscapeString(part))
	}
	return template.HTML(b.String()) //nolint:gosec // its parts are escaped
}

// clockText writes the time of day, with the date where it is another day.
func clockText(t, now time.Time) string {
	if t.Format(time.DateOnly) == now.UTC().Format(time.DateOnly) {
		return t.Format("15:04:05") + "Z"
	}
	if t.Year() == now.UTC().Year() {
		return t.Format("2 Jan 15:04") + "Z"
	}
	return t.Format("2 Jan 2006 15:04") + "Z"
}

// Ago writes how long ago something was.
func Ago(d time.Duration) string {
	if d < time.Second {
		return "now"
	}
	return Long(d) + " ago"
}

// Until writes how long it is until something happens.
func Until(d time.Duration) string {
	if d <= 0 {
		return "now"
	}
	return "in " + Long(d)
}

// Long writes a duration in its two largest units.
func Long(d time.Duration) string {
	switch {
	case d < time.Millisecond:
		return "0 s"
	case d < time.Second:
		return strconv.Itoa(int(d.Milliseconds())) + " ms"
	case d < 10*time.Second:
		return strings.TrimSuffix(strconv.FormatFloat(d.Seconds(), 'f', 1, 64), ".0") + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return two(int(d.Minutes()), "min", int(d.Seconds())%60, "s", d < 10*time.Minute)
	case d < 48*time.Hour:
		return two(int(d.Hours()), "h", int(d.Minutes())%60, "min", true)
	default:
		return two(int(d.Hours())/24, "d", int(d.Hours())%24, "h", d < 10*24*time.Hour)
	}
}

func two(a int, aUnit string, b int, bUnit string, both bool) string {
	text := strconv.Itoa(a) + " " + aUnit
	if both && b > 0 {
		text += " " + strconv.Itoa(b) + " " + bUnit
	}
	return text
}

// Milliseconds writes a number of milliseconds with a unit that suits it.
func Milliseconds(ms any) string {
	v := number(ms)
	switch {
	case math.IsNaN(v) || v < 0:
		return "–"
	case v > 0 && v < 10:
		return strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64) + " ms"
	case v < 1000:
		return strconv.Itoa(int(math.Round(v))) + " ms"
	}
	return Long(time.Duration(v * float64(time.Millisecond)))
}

// number returns the number of a value; NaN if it is none.
func number(n any) float64 {
	v := reflect.ValueOf(n)
	for v.IsValid() && v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return math.NaN()
		}
		v = v.Elem()
	}
	switch {
	case !v.IsValid():
		return math.NaN()
	case v.CanInt():
		return float64(v.Int())
	case v.CanUint():
		return float64(v.Uint())
	case v.CanFloat():
		return v.Float()
	}
	return math.NaN()
}

// Number writes a number with separators of thousands, and – for none.
func Number(n any) string {
	v := number(n)
	if math.IsNaN(v) {
		return "–"
	}
	text := strconv.FormatFloat(math.Round(v*10)/10, 'f', -1, 64)
	whole, rest, _ := strings.Cut(text, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "−", whole[1:]
	}
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if rest != "" {
		whole += "." + rest
	}
	return sign + whole
}

// Percent writes a share from 0 to 1 as a percentage; – for none. What is not all is never written as 100 %.
func Percent(share any) string {
	v := number(share)
	if math.IsNaN(v) {
		return "–"
	}
	tenths := math.Round(v * 1000)
	if v < 1 && tenths >= 1000 {
		tenths = 999
	}
	if v > 0 && tenths <= 0 {
		tenths = 1
	}
	return strconv.FormatFloat(tenths/10, 'f', -1, 64) + " %"
}

// Bytes writes a number of bytes.
func Bytes(n any) string {
	v := number(n)
	switch {
	case math.IsNaN(v):
		return "–"
	case v < 10_000:
		return Number(v) + " B"
	case v < 10<<20:
		return Number(math.Round(v/1024)) + " KiB"
	}
	return Number(math.Round(v/(1<<20))) + " MiB"
}

// plural writes a number with its noun: `1 delivery`, `2 deliveries`.
func plural(n any, one, many string) string {
	if number(n) == 1 {
		return "1 " + one
	}
	return Number(n) + " " + many
}

// indented returns JSON with line breaks, at most MaxText bytes; numbers and the order of fields stay as they are.
func indented(text any) Excerpt {
	switch t := text.(type) {
	case json.RawMessage:
		return Indent(string(t), MaxText)
	case []byte:
		return Indent(string(t), MaxText)
	case string:
		return Indent(t, MaxText)
	}
	b, err := json.Marshal(text)
	if err != nil {
		return Excerpt{}
	}
	return Indent(string(b), MaxText)
}

// excerpt returns what is shown of a text, at most MaxWhole bytes; an Excerpt is returned as it is.
func excerpt(text any) Excerpt {
	switch t := text.(type) {
	case Excerpt:
		return t
	case string:
		return Cut(t, MaxWhole)
	}
	return Cut(fmt.Sprint(text), MaxWhole)
}

// short shortens an id in its middle.
func short(id string) string {
	if len(id) <= 24 {
		return id
	}
	return id[:12] + "…" + id[len(id)-6:]
}

// contains reports whether a list has a text.
func contains(list []string, text string) bool {
	return slices.Contains(list, text)
}

// statusText writes the status of an HTTP answer: `404 Not Found`; 0 is no answer.
func statusText(status int) string {
	if status == 0 {
		return "no answer"
	}
	return strings.TrimSpace(strconv.Itoa(status) + " " + http.StatusText(status))
}

// Look is how a state looks: a class of the style sheet, and an icon.
type Look struct{ Class, Icon string }

// looks are those of all states, verdicts and outcomes that pages show.
var looks = map[string]Look{
	"delivered": {"ok", "check"}, "serving": {"ok", "check"}, "active": {"ok", "check"}, "matched": {"ok", "check"}, "decided": {"ok", "check"}, "accepted": {"ok", "check"},
	"done": {"ok", "check"}, "ok": {"ok", "check"}, "proved": {"ok", "check"}, "passed": {"ok", "check"},
	"waiting": {"wait", "clock"}, "retry": {"wait", "clock"}, "pending": {"wait", "clock"}, "unknown": {"wait", "question"}, "paused": {"wait", "pause"}, "rate": {"wait", "clock"},
	"circuit": {"wait", "clock"}, "warn": {"wait", "warn"}, "shadowed": {"wait", "warn"}, "unverified": {"wait", "warn"}, "silent": {"wait", "warn"}, "stopping": {"wait", "clock"},
	"dead": {"bad", "cross"}, "rejected": {"bad", "cross"}, "revoked": {"bad", "cross"}, "gone": {"bad", "cross"}, "broken": {"bad", "cross"}, "failed": {"bad", "cross"},
	"error": {"bad", "cross"}, "bad": {"bad", "cross"}, "invalid": {"bad", "cross"}, "refused": {"bad", "cross"},
	"running": {"info", "clock"}, "continue": {"info", "check"}, "test": {"info", "check"},
}

// lookOf returns how a state looks; one that is not known is plain.
func lookOf(state any) Look {
	if l, ok := looks[fmt.Sprint(state)]; ok {
		return l
	}
	return Look{Class: "plain"}
}

// icons are drawn in a square of ten units. Each page has them once, as symbols that its states refer to: a list of 50 rows has more than 100.
var icons = map[string]string{
	"check":    `<path d="M1.5 5.5 4 8l4.5-6" fill="none" stroke="currentColor" stroke-width="1.8"/>`,
	"cross":    `<path d="m2 2 6 6M8 2 2 8" stroke="currentColor" stroke-width="1.8"/>`,
	"clock":    `<circle cx="5" cy="5" r="3.8" fill="none" stroke="currentColor" stroke-width="1.4"/><path d="M5 3v2.2l1.4 1" fill="none" stroke="currentColor" stroke-width="1.3"/>`,
	"warn":     `<path d="M5 1 9.4 9H.6z" fill="none" stroke="currentColor" stroke-width="1.2" stroke-linejoin="round"/><path d="M5 4v2.4M5 7.2v.9" stroke="currentColor" stroke-width="1.2"/>`,
	"question": `<path d="M3 3.6C3 1.2 7 1.2 7 3.6 7 5.2 5 5 5 6.6M5 7.7v1.2" fill="none" stroke="currentColor" stroke-width="1.5"/>`,
	"pause":    `<path d="M3.2 2v6M6.8 2v6" stroke="currentColor" stroke-width="1.9"/>`,
}

// icon draws an icon; nothing for an unknown name.
func icon(name string) template.HTML {
	if icons[name] == "" {
		return ""
	}
	return template.HTML(`<svg><use href="#i-` + name + `"/></svg>`) //nolint:gosec // it is one of icons
}

// symbols are all icons, for the beginning of a page.
func symbols() template.HTML {
	var b strings.Builder
	b.WriteString(`<svg class="symbols" width="0" height="0" aria-hidden="true">`)
	for _, name := range slices.Sorted(maps.Keys(icons)) {
		b.WriteString(`<symbol id="i-` + name + `" viewBox="0 0 10 10">` + icons[name] + `</symbol>`)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) //nolint:gosec // they are icons
}

// IsCut reports whether the text of a request or an answer was too long to be kept whole.
func IsCut(text string) bool { return strings.HasSuffix(text, "\n…") }
