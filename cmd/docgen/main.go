// Command docgen derives pages, the reference configuration and the schema from the Go declarations.
//
// With -check it writes nothing and fails when a derived file is stale.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	_ "github.com/surveygate/surveygate/connectors/all"
	"github.com/surveygate/surveygate/gateway/config"
)

func main() {
	root := flag.String("root", ".", "folder of the module")
	check := flag.Bool("check", false, "write nothing; fail when a derived file is stale")
	flag.Parse()
	if err := run(os.Stdout, *root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "docgen:", err)
		os.Exit(1)
	}
}

// file is one derived file, by its path in the module; or, with a part, what stands in a page that people write between
// <!-- part --> and <!-- /part -->.
type file struct {
	path string
	text []byte
	part string
}

// fresh is the file as it should be, given how it is now.
func (f *file) fresh(now []byte) ([]byte, error) {
	if f.part == "" {
		return f.text, nil
	}
	begin, end := markers(f.part)
	before, rest, opened := bytes.Cut(now, begin)
	_, after, closed := bytes.Cut(rest, end)
	if !opened || !closed {
		return nil, fmt.Errorf("%s: the derived part `%s` has no place: write `%s` and `%s` around it", f.path, f.part, bytes.TrimSpace(begin), end)
	}
	return slices.Concat(before, begin, f.text, end, after), nil
}

func markers(part string) (begin, end []byte) {
	return []byte("<!-- " + part + " -->\n"), []byte("<!-- /" + part + " -->")
}

// outside is what a page says outside a derived part.
func outside(page []byte, part string) []byte {
	begin, end := markers(part)
	before, rest, _ := bytes.Cut(page, begin)
	_, after, _ := bytes.Cut(rest, end)
	return slices.Concat(before, after)
}

func run(out io.Writer, root string, check bool) error {
	files, err := derive(root)
	if err != nil {
		return err
	}
	stale := 0
	for _, f := range files {
		path := filepath.Join(root, filepath.FromSlash(f.path))
		now, err := os.ReadFile(path)
		if err != nil && (f.part != "" || !os.IsNotExist(err)) {
			return err
		}
		text, fault := f.fresh(now)
		if fault != nil {
			return fault
		}
		if err == nil && bytes.Equal(now, text) {
			continue
		}
		stale++
		if check {
			_, _ = fmt.Fprintf(out, "%s is stale\n", f.path)
			continue
		}
		if err := os.WriteFile(path, text, 0o644); err != nil { //nolint:gosec // pages are for everybody to read
			return err
		}
		_, _ = fmt.Fprintf(out, "%s written\n", f.path)
	}
	if check && stale > 0 {
		return fmt.Errorf("%d derived files are stale: `make docs` writes them", stale)
	}
	return nil
}

// derive makes every derived file.
func derive(root string) ([]file, error) {
	src := &source{root: root}
	files, err := pages(src)
	if err != nil {
		return nil, err
	}
	known := config.Platforms()
	all, err := platforms(known)
	if err != nil {
		return nil, err
	}
	more, err := configuration(src)
	if err != nil {
		return nil, err
	}
	api, err := description(src, more[0].text)
	return append(append(files, all, names(known), checked(), api), more...), err
}
