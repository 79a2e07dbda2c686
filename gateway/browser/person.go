package browser

import (
	"context"
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// find is an expression for the first visible element that a selector matches; null if there is none.
func find(selector string) string {
	if name, ok := strings.CutPrefix(selector, "="); ok {
		return `[...document.querySelectorAll('a[href], button, summary, label, [role=button], input[type=submit]')].find(e =>
			e.checkVisibility({visibilityProperty: true}) &&
			[e.getAttribute('aria-label'), e.innerText, e.value].some(name => name?.trim().replace(/\s+/g, ' ') === ` + quoted(name) + `))`
	}
	return `[...document.querySelectorAll(` + quoted(selector) + `)].find(e => e.checkVisibility({visibilityProperty: true}))`
}

// Wait waits until an element is visible.
func (p *Page) Wait(selector string) {
	p.t.Helper()
	p.until("wait for "+selector, "!!"+find(selector))
}

// WaitGone waits until no visible element matches.
func (p *Page) WaitGone(selector string) {
	p.t.Helper()
	p.until("wait until there is no "+selector, "!"+find(selector))
}

// WaitText waits until an element is visible and its text contains another.
func (p *Page) WaitText(selector, text string) {
	p.t.Helper()
	p.until(fmt.Sprintf("wait for %q in %s", text, selector), "!!"+find(selector)+"?.innerText.includes("+quoted(text)+")")
}

// WaitFor waits until an expression of JavaScript is true, which is evaluated as by Ask. It survives that the page is left.
func (p *Page) WaitFor(expression string) {
	p.t.Helper()
	p.until("wait for "+clip(expression), "!!("+expression+")")
}

func (p *Page) until(what, expression string) {
	p.t.Helper()
	p.do(what, step(func(ctx context.Context) error {
		return again(ctx, func() (bool, error) {
			var is bool
			err := p.ask(ctx, expression, &is)
			return is || err != nil, err
		})
	}))
}

type spot struct{ X, Y float64 }

// point waits until an element can be clicked, and returns where: it is visible, not disabled, and nothing covers it.
func (p *Page) point(selector string) spot {
	p.t.Helper()
	var at *struct {
		spot
		Covered string
	}
	look := `(e => {
		if (!e || e.disabled) return null;
		e.scrollIntoView({block: 'center', inline: 'center', behavior: 'instant'});
		const box = [...e.getClientRects()].find(r => r.width > 0 && r.height > 0);
		if (!box) return null;
		const x = box.x + box.width / 2, y = box.y + box.height / 2, there = document.elementFromPoint(x, y);
		const covered = there && (e.contains(there) || there.contains(e) && there.closest('a, button, label, summary') === e) ? '' :
			there ? there.outerHTML.slice(0, 200) : 'nothing that is in the window';
		return {X: x, Y: y, Covered: covered};
	})(` + find(selector) + `)`
	p.do("click "+selector, step(func(ctx context.Context) error {
		return again(ctx, func() (bool, error) {
			at = nil
			if err := p.ask(ctx, look, &at); err != nil {
				return true, err
			}
			switch {
			case at == nil:
				return false, fmt.Errorf("%s is not there, or disabled", selector)
			case at.Covered != "":
				return false, fmt.Errorf("%s is covered by %s", selector, at.Covered)
			}
			return true, nil
		})
	}))
	where := at.spot
	if p.frame != "" {
		outer := *p
		outer.frame = ""
		corner := Ask[spot](&outer, `(e => { const b = e.getBoundingClientRect(); return {X: b.x + e.clientLeft, Y: b.y + e.clientTop} })(document.querySelector(`+quoted(p.frame)+`))`)
		where.X, where.Y = where.X+corner.X, where.Y+corner.Y
	}
	return where
}

// Click waits until an element can be clicked, and clicks it. It does not wait for what comes of it: see Follow and Wait.
func (p *Page) Click(selector string) {
	p.t.Helper()
	at := p.point(selector)
	p.do("click "+selector, chromedp.MouseClickXY(at.X, at.Y))
}

// Type types text at the end of a control. A line break is the Enter key.
func (p *Page) Type(selector, text string) {
	p.t.Helper()
	p.Wait(selector)
	Ask[bool](p, `(e => { e.focus(); try { e.setSelectionRange(e.value.length, e.value.length) } catch { /* not a text */ } return true })(`+find(selector)+`)`)
	p.keys(text)
}

// Fill replaces the text of a control.
func (p *Page) Fill(selector, text string) {
	p.t.Helper()
	p.Wait(selector)
	Ask[bool](p, `(e => { e.focus(); e.select(); return true })(`+find(selector)+`)`)
	if text == "" {
		p.Press("Backspace")
		return
	}
	p.keys(text)
}

// quick is the length from which text is pasted: each key costs three messages.
const quick = 200

func (p *Page) keys(text string) {
	p.t.Helper()
	if len(text) < quick {
		p.do("type "+clip(text), chromedp.KeyEvent(text))
		return
	}
	p.do("paste "+clip(text), step(func(ctx context.Context) error {
		_, err := chromedp.Call(ctx, input.InsertText, input.InsertTextParams{Text: text})
		return err
	}))
}

// Select chooses the option of a select element that has the value.
func (p *Page) Select(selector, value string) {
	p.t.Helper()
	p.Wait(selector)
	is := Ask[string](p, `(e => {
		e.focus();
		e.value = `+quoted(value)+`;
		e.dispatchEvent(new Event('input', {bubbles: true}));
		e.dispatchEvent(new Event('change', {bubbles: true}));
		return e.value;
	})(`+find(selector)+`)`)
	if is != value {
		p.t.Fatalf("%s has no option %q%s", selector, value, p.around())
	}
}

var named = map[string]string{
	"Tab": kb.Tab, "Enter": kb.Enter, "Escape": kb.Escape, "Space": " ", "Backspace": kb.Backspace,
	"ArrowDown": kb.ArrowDown, "ArrowUp": kb.ArrowUp, "ArrowLeft": kb.ArrowLeft, "ArrowRight": kb.ArrowRight,
	"Home": kb.Home, "End": kb.End, "PageDown": kb.PageDown, "PageUp": kb.PageUp,
}

// Press presses keys, one after the other, wherever the focus is: "Tab", "Shift+Tab", "Enter", "ArrowDown", "g", "?".
func (p *Page) Press(keys ...string) {
	p.t.Helper()
	p.until("wait until the page is loaded", `document.readyState === "complete"`) // its scripts hear no key before
	for _, key := range keys {
		var options []chromedp.KeyOption
		name, shift := strings.CutPrefix(key, "Shift+")
		if shift {
			options = append(options, chromedp.KeyModifiers(chromedp.ModifierShift))
		}
		is, ok := named[name]
		if !ok {
			is = name
		}
		if len([]rune(is)) != 1 {
			p.t.Fatalf("no key is called %q", key)
		}
		p.do("press "+key, chromedp.KeyEvent(is, options...))
	}
}
