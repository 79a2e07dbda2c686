package browser

import (
	"context"
	_ "embed" // for axe
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// axe finds what keeps people from using a page: https://github.com/dequelabs/axe-core.
//
//go:embed testdata/axe.min.js
var axe string

// pictures is where Check puts a picture of each page that it checks, for people to look at.
var pictures = flag.String("pictures", "", "the folder into which each page that is checked is drawn")

// Check finds what no page may have, as it is shown now:
//   - a line in the console, an exception, a violation of its policy, a failed request, since the tab was opened, or since it was reported;
//   - something serious or critical that axe finds: text of little contrast, a control without a name;
//   - content wider than the window, or than an element that cuts it off;
//   - not exactly one h1; a style attribute.
//
// Each of expected is part of a line that the page has to say, such as "404 (Not Found)"; one that is not said is a fault.
// With -pictures=FOLDER it also draws the page.
func (p *Page) Check(expected ...string) {
	p.t.Helper()
	p.report(append(p.layout(), p.axe()...), expected)
}

// CheckWithoutAxe is Check without the part that takes most of its time: for tests of other things, on pages that others check.
func (p *Page) CheckWithoutAxe(expected ...string) {
	p.t.Helper()
	p.report(p.layout(), expected)
}

// report adds what the page has said to its faults, and reports them.
func (p *Page) report(faults, expected []string) {
	p.t.Helper()
	said := map[string]bool{}
	for _, line := range p.recorder.lines() { // last: what came before the answers above is recorded
		known := p.recorder.expects(line)
		for _, part := range expected {
			if strings.Contains(line, part) {
				known, said[part] = true, true
				p.recorder.expect(line)
			}
		}
		if !known {
			faults = append(faults, line)
			p.recorder.forget(line)
		}
	}
	for _, part := range expected {
		if !said[part] {
			faults = append(faults, fmt.Sprintf("it should say %q, and does not", part))
		}
	}
	if *pictures != "" {
		p.draw()
	}
	if len(faults) > 0 {
		p.t.Errorf("%s, %s:\n%s", p.URL(), p.look, strings.Join(faults, "\n"))
	}
}

// CheckLooks is Check in both widths and both themes, as the page is now. It is much quicker than a tab for each; the page
// stays in the last look.
func (p *Page) CheckLooks(expected ...string) {
	p.t.Helper()
	for _, look := range Looks() {
		if look.NoScript == p.look.NoScript {
			p.Look(look)
			p.Check(expected...)
		}
	}
}

// layout looks at what the document is made of, and how wide it is.
func (p *Page) layout() []string {
	p.t.Helper()
	found := Ask[struct {
		Width  int
		Widest []string
		Cut    []string
		Titles int
		Styled []string
	}](p, `(width => {
		const shown = e => e.outerHTML.replace(/\s+/g, ' ').slice(0, 160);
		const scrolls = e => { // whether something around e, itself included, has a scroll bar of its own
			for (; e && e !== document.body; e = e.parentElement) if (getComputedStyle(e).overflowX !== 'visible') return true;
			return false;
		};
		return {
			Width: document.documentElement.scrollWidth,
			Widest: [...document.body.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > width + 0.5 && !scrolls(e)).slice(0, 3).map(shown),
			Cut: [...document.body.querySelectorAll(':not(input, select)')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1 &&
				['hidden', 'clip'].includes(getComputedStyle(e).overflowX) && getComputedStyle(e).textOverflow !== 'ellipsis').slice(0, 3).map(e => {
				const end = e.getBoundingClientRect().right, out = [...e.querySelectorAll('*')].filter(c => c.getBoundingClientRect().right > end + 0.5);
				return e.scrollWidth + ' px in ' + e.clientWidth + ' px: ' + shown(e) + (out.length ? '\n\t' + shown(out[out.length - 1]) : '');
			}),
			Titles: document.querySelectorAll('h1').length,
			Styled: [...document.querySelectorAll('[style]')].slice(0, 3).map(shown),
		};
	})(`+fmt.Sprint(p.look.width())+`)`)
	var faults []string
	if found.Width > p.look.width() {
		faults = append(faults, fmt.Sprintf("layout: %d px wide in a window of %d px: %s", found.Width, p.look.width(), strings.Join(found.Widest, "\n\t")))
	}
	for _, element := range found.Cut {
		faults = append(faults, "layout: cut off at its side: "+element)
	}
	if found.Titles != 1 {
		faults = append(faults, fmt.Sprintf("layout: %d h1 elements", found.Titles))
	}
	for _, element := range found.Styled {
		faults = append(faults, "layout: a style attribute: "+element)
	}
	return faults
}

// axeOptions leave out the rules whose findings are less than serious, which take more than half of the time; and that axe fetches the
// style sheets and media of the page once more, which no rule asks for that is run.
const axeOptions = `{
	resultTypes: ['violations'], iframes: false, preload: false,
	rules: Object.fromEntries(axe._audit.rules.filter(r => r.impact === 'moderate' || r.impact === 'minor').map(r => [r.id, {enabled: false}])),
}`

// axe returns what axe finds that is serious or critical, each with up to three elements.
func (p *Page) axe() []string {
	p.t.Helper()
	var found []struct {
		ID, Impact, Help string
		Nodes            []struct{ HTML, Why string }
	}
	p.do("run axe", step(func(ctx context.Context) (err error) {
		// axe waits for timers, which do not run where scripts are off. The page's own scripts, which were not run when it was
		// loaded, are not run now.
		if p.look.NoScript {
			if err := noScript(ctx, false); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, noScript(ctx, true)) }()
		}
		var there bool
		if err := p.ask(ctx, "typeof axe !== 'undefined'", &there); err != nil {
			return err
		}
		if !there {
			if err := p.ask(ctx, axe+";true", &there); err != nil {
				return err
			}
		}
		return p.ask(ctx, `axe.run(document, `+axeOptions+`).then(r => r.violations
			.filter(v => v.impact === 'serious' || v.impact === 'critical')
			.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 3).map(n => ({
				HTML: n.html.slice(0, 200), Why: n.failureSummary.replace(/\s+/g, ' ').slice(0, 300)}))})))`, &found)
	}))
	var faults []string
	for _, v := range found {
		var line strings.Builder
		_, _ = fmt.Fprintf(&line, "axe, %s: %s: %s", v.Impact, v.ID, v.Help)
		for _, node := range v.Nodes {
			_, _ = fmt.Fprintf(&line, "\n\t%s\n\t\t%s", node.HTML, node.Why)
		}
		faults = append(faults, line.String())
	}
	return faults
}

// draw puts a picture of the page into the folder of -pictures, named after the test and the look.
func (p *Page) draw() {
	p.t.Helper()
	if err := os.MkdirAll(*pictures, 0o750); err != nil {
		p.t.Fatal(err)
	}
	path := p.URL()
	if u, err := url.Parse(path); err == nil {
		path = u.Path
	}
	name := strings.NewReplacer("/", "_", " ", "_").Replace(p.t.Name() + path + "_" + p.look.String())
	if len(name) > 200 { // file systems bound names
		name = name[:100] + name[len(name)-100:]
	}
	p.Screenshot(filepath.Join(*pictures, name+".png"))
}
