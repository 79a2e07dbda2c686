package command

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// pseudoTerminal returns both ends of a new terminal with so many columns.
func pseudoTerminal(t *testing.T, columns uint16) (master, terminal *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return master, terminal
}

// A command that takes long draws on the terminal of stderr as it is wide, and leaves nothing there; stdout has the result alone.
func TestEmitOnATerminal(t *testing.T) {
	t.Parallel()
	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"results": [{"id": "ev_1", "status": "accepted"}]}`)
	}))
	defer gateway.Close()
	master, terminal := pseudoTerminal(t, 60)
	written := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(master) // an error is its end
		written <- string(text)
	}()
	var out bytes.Buffer
	exited := Main([]string{"emit", "--server", gateway.URL, "--token", "t", "--count", "50", "--rate", "50/s", `{"type": "response.completed"}`}, &out, terminal)
	if err := terminal.Close(); err != nil {
		t.Fatal(err)
	}
	got := <-written
	if exited != 0 || !strings.HasPrefix(out.String(), "50 sent: 50 accepted, 0 refused; ") {
		t.Fatalf("exit %d: %q; terminal: %q", exited, out.String(), got)
	}
	lines := strings.Split(got, clearLine)
	if len(lines) < 3 || lines[0] != "" || lines[len(lines)-1] != "" {
		t.Fatalf("not drawn in place, or not cleared at the end: %q", got)
	}
	colors := strings.NewReplacer(green, "", dim, "", plain, "", wrapOff, "", wrapOn, "")
	for _, drawn := range lines[1 : len(lines)-1] {
		text := colors.Replace(drawn)
		if n := utf8.RuneCountInString(text); n > 59 || strings.Contains(text, "\n") || !strings.Contains(text, "of 50") {
			t.Errorf("%d characters: %q", n, text)
		}
	}
}
