// Package browser drives a Chromium for the tests of pages: it does what a person does there, and checks what must hold of
// every page.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// patience is how long a step may take before its test fails. It is long because machines of tests are slow and shared: it
// ends what hangs, and measures nothing.
const patience = time.Minute

// names are the commands that a Chromium has, best first.
var names = []string{"chromium", "chromium-browser", "google-chrome"}

// running is the one browser of the process. It runs while a test holds it.
var running struct {
	sync.Mutex
	holders int
	ctx     context.Context
	stop    context.CancelFunc
}

// Browser is the Chromium that all tests of a process share. Safe for concurrent use.
type Browser struct {
	ctx context.Context
}

// Start returns the browser, which runs at least until the test and its subtests have ended. It fails the test if there is
// none on this machine. Where the process is killed, the browser ends with it.
func Start(t testing.TB) *Browser {
	t.Helper()
	running.Lock()
	defer running.Unlock()
	if running.holders == 0 {
		ctx, stop, err := start()
		if err != nil {
			t.Fatal(err)
		}
		running.ctx, running.stop = ctx, stop
	}
	running.holders++
	t.Cleanup(release)
	return &Browser{ctx: running.ctx}
}

func release() {
	running.Lock()
	defer running.Unlock()
	running.holders--
	if running.holders == 0 {
		running.stop()
	}
}

// start starts a Chromium with an empty profile of its own, which is removed when it ends.
func start() (context.Context, context.CancelFunc, error) {
	path, err := installed()
	if err != nil {
		return nil, nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		// All frames of a page in one process: Page.Frame looks into one of another site.
		chromedp.Flag("disable-site-isolation-trials", true),
		chromedp.Flag("disable-features", "Translate,IsolateOrigins,site-per-process"),
		// What a page looks like must not depend on the machine.
		chromedp.Flag("font-render-hinting", "none"),
		chromedp.Flag("lang", "en-GB"),
	)
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocated)
	if err := begin(ctx, cancel); err != nil {
		cancel()
		stop()
		return nil, nil, fmt.Errorf("start %s: %w", path, err)
	}
	return ctx, func() { cancel(); stop() }, nil
}

// begin does the first steps in a context of chromedp, whose browser or tab lives as long as the context that it is given
// then: one with a deadline would end it later.
func begin(ctx context.Context, cancel context.CancelFunc, steps ...chromedp.Action[chromedp.Void]) error {
	end := time.AfterFunc(patience, cancel)
	defer end.Stop()
	return chromedp.Do(ctx, steps...)
}

func installed() (string, error) {
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("chromium is not installed; these tests need it: sudo apt-get install -y chromium")
}
