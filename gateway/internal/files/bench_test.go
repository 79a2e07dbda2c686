package files_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/files"
)

// BenchmarkChanged looks at a configuration of a thousand files, as it is done every two seconds.
func BenchmarkChanged(b *testing.B) {
	dir := b.TempDir()
	r := &files.Reader{}
	for i := range 1000 {
		path := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		write(b, path, strings.Repeat("x", 2000))
		_, _ = r.ReadFile(path)
	}
	for b.Loop() {
		if got := r.Changed(); got != "" {
			b.Fatal(got)
		}
	}
}
