package browser

import (
	"context"
	"fmt"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// Look is how a page is looked at. The zero value is a wide window in the light theme, with scripts.
type Look struct {
	Width    int  // 0: Wide
	Dark     bool // the system prefers dark
	NoScript bool
}

// Wide and Narrow are the widths at which every page is looked at: a desktop's, and that of a small phone.
const (
	Wide   = 1280
	Narrow = 360
)

const height = 800

// Looks are all ways to look at a page.
func Looks() []Look {
	var all []Look
	for _, width := range []int{Wide, Narrow} {
		for _, dark := range []bool{false, true} {
			for _, noScript := range []bool{false, true} {
				all = append(all, Look{Width: width, Dark: dark, NoScript: noScript})
			}
		}
	}
	return all
}

// String is the look as the name of a test: "360-dark-noscript".
func (l Look) String() string {
	name := fmt.Sprintf("%d-%s", l.width(), l.theme())
	if l.NoScript {
		name += "-noscript"
	}
	return name
}

func (l Look) width() int {
	if l.Width == 0 {
		return Wide
	}
	return l.Width
}

func (l Look) theme() string {
	if l.Dark {
		return "dark"
	}
	return "light"
}

// phone is whether the window is one of a phone: it has a touch screen, and obeys <meta name="viewport">.
func (l Look) phone() bool { return l.width() < 600 }

// set gives a tab the look. Motion is reduced, so that a picture or a check meets no half-way of a transition.
func (l Look) set() chromedp.Action[chromedp.Void] {
	var options []chromedp.EmulateViewportOption
	if l.phone() {
		options = append(options, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait)
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.theme()},
		{Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	return chromedp.Steps(
		chromedp.EmulateViewport(int64(l.width()), height, options...),
		step(func(ctx context.Context) error {
			_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media)
			return err
		}),
		step(func(ctx context.Context) error { return noScript(ctx, l.NoScript) }),
	)
}

// noScript switches off the scripts of pages that are opened from now on, or switches them on.
func noScript(ctx context.Context, off bool) error {
	_, err := chromedp.Call(ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: off})
	return err
}

func step(do func(ctx context.Context) error) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error { return do(ctx) })
}
