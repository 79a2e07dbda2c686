package run

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/client"
	"github.com/surveygate/surveygate/gateway/internal/socket"
)

// A data folder that others may write to is taken, because volumes often are such, and everybody is told.
func TestOpenFolder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := os.Mkdir(s.options.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.options.Data, 0o770); err != nil {
		t.Fatal(err)
	}
	s.start()
	warned := func() string {
		var ready struct{ Warnings []string }
		if err := s.client.Do(t.Context(), client.Call{Method: http.MethodGet, Path: "/readyz", Into: &ready}); err != nil {
			t.Fatal(err)
		}
		return strings.Join(ready.Warnings, "\n")
	}
	if !strings.Contains(strings.Join(s.started.Warnings, "\n"), "chmod 700 "+s.options.Data) || !strings.Contains(warned(), "chmod 700") {
		t.Errorf("started with %q, readyz warns %q", s.started.Warnings, warned())
	}
	if err := os.Chmod(s.options.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(warned(), "chmod") {
		t.Errorf("still: %q", warned())
	}
	if info, err := os.Stat(filepath.Join(s.options.Data, socket.Name)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket: %v %v", info, err)
	}
}
