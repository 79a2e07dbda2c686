package main

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// doors are the libraries of others and the packages that may import each, with those below them. The linter's depguard
// section is derived from it: go test ./cmd/surveygate -run TestLinterHasTheDoors -update.
var doors = []struct {
	library  string // with every major version and every package of it
	packages []string
	tests    bool // any test may import it too
	why      string
}{
	{"github.com/tidwall/gjson", []string{"rules/jsonpath"}, false, "one reading of a path in raw bytes"},
	{"github.com/expr-lang/expr", []string{"rules/expression"}, false, "one language, with one set of functions"},
	{"go.yaml.in/yaml", []string{"gateway/internal/document", "connectors/connectortest"}, false, "every fault of a YAML file names its line"},
	{"github.com/cockroachdb/pebble", []string{"gateway/internal/state/embedded"}, false, "an engine keeps its library to itself"},
	{"github.com/redis/go-redis", []string{"gateway/internal/redis", "gateway/internal/state/redis", "gateway/internal/stream"}, false, "addresses, TLS and errors without passwords come from gateway/internal/redis; the engine and the stream reader only send commands"},
	{"github.com/gofiber/fiber", []string{"gateway/internal/web"}, false, "what is not HTTP knows no handler"},
	{"github.com/valyala/fasthttp", []string{"gateway/internal/outbound", "gateway/internal/web"}, true, "requests enter through web and leave through outbound"},
	{"github.com/slack-go/slack", []string{"connectors/slack"}, false, "it lends blocks and messages to one product"},
	{"github.com/getkin/kin-openapi", []string{"connectors/connectortest/contract"}, true, "only tests read vendors' documents, and check our own"},
	{"github.com/prometheus/client_golang", []string{"gateway/internal/stats"}, false, "all metrics are declared in one package"},
	{"github.com/prometheus/client_model", []string{"gateway/internal/stats"}, false, "all metrics are declared in one package"},
	{"github.com/prometheus/common", []string{"gateway/internal/stats"}, false, "all metrics are declared in one package"},
	{"golang.org/x/oauth2", []string{"gateway/internal/oauth"}, false, "one package asks token endpoints, through outbound"},
	{"golang.org/x/time", []string{"gateway/internal/deliver", "gateway/internal/web"}, false, "rates belong to destinations and to callers"},
	{"github.com/spf13/cobra", []string{"cmd"}, false, "flags are parsed by commands"},
	{"github.com/spf13/pflag", []string{"cmd"}, false, "flags are parsed by commands"}, // cobra's own library, which describes a flag
	{"golang.org/x/sys", []string{"cmd/command"}, false, "the size of a terminal is asked for where progress is shown"},
	{"golang.org/x/tools", []string{"cmd/docgen", "connectors/connectortest", "gateway/internal/transcript"}, true, "transcripts are read by tests, by the pages made of them, and by `surveygate test`"},
	{"github.com/google/go-cmp", []string{"connectors/connectortest", "gateway/internal/state/statetest"}, true, "for tests"},
	{"github.com/chromedp/chromedp", []string{"gateway/browser"}, false, "tests of pages drive a browser through one package"},
	{"github.com/chromedp/cdproto", []string{"gateway/browser"}, false, "tests of pages drive a browser through one package"},
	{"go.uber.org/goleak", []string{"gateway/internal/leaktest"}, true, "for tests"},
	{"github.com/santhosh-tekuri/jsonschema", nil, true, "for tests"},
	{"github.com/cloudevents/sdk-go", nil, true, "for tests: our reading is compared with it"},
	{"github.com/standard-webhooks/standard-webhooks", nil, true, "for tests: our signatures are compared with it"},
	{"html/template", []string{"gateway/internal/web/chart", "gateway/internal/web/console", "gateway/internal/web/docs", "gateway/internal/web/page", "gateway/internal/web/portal"}, false, "pages are written by one kind of template, which escapes what it is given"},
	{"crypto/cipher", []string{"gateway/internal/vault"}, false, "what the store must hold of a secret is sealed in one way, with one set of keys"},
	{"net/http/httputil", nil, false, "what it prints of a request shows its secrets"},
}

// TestOneDoorPerLibrary: a library is imported by its doors alone, and each has them declared.
func TestOneDoorPerLibrary(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	check := func(from, imported string, test bool) {
		for _, d := range doors {
			if !within(imported, d.library) {
				continue
			}
			used[d.library] = true
			if !(test && d.tests) && !slices.ContainsFunc(d.packages, func(door string) bool { return within(from, door) }) {
				t.Errorf("%s imports %s, which only %v may: %s", from, imported, d.packages, d.why)
			}
			return
		}
		if host, _, _ := strings.Cut(imported, "/"); strings.Contains(host, ".") && !strings.HasPrefix(imported, module) {
			t.Errorf("%s imports %s: say in doors who may", from, imported)
		}
	}
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			check(p.ImportPath, imported, false)
		}
		for _, imported := range slices.Concat(p.TestImports, p.XTestImports) {
			check(p.ImportPath, imported, true)
		}
	}
	for _, d := range doors {
		if !used[d.library] && d.packages != nil {
			t.Errorf("doors: nothing imports %s", d.library)
		}
	}
}

// TestLinterHasTheDoors compares the depguard section of .golangci.yml with doors; -update writes it.
func TestLinterHasTheDoors(t *testing.T) {
	t.Parallel()
	const file = "../../.golangci.yml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	section := regexp.MustCompile(`(?m)^    depguard:\n(?:     .*\n)+`)
	at := section.FindIndex(text)
	if at == nil {
		t.Fatal("there is no depguard section")
	}
	want := depguard(t)
	if bytes.Equal(text[at[0]:at[1]], want) {
		return
	}
	if !*update {
		t.Fatalf("the depguard section of .golangci.yml is not what doors says: go test ./cmd/surveygate -run %s -update", t.Name())
	}
	if err := os.WriteFile(file, slices.Concat(text[:at[0]], want, text[at[1]:]), 0o600); err != nil {
		t.Fatal(err)
	}
}

// depguard is doors as the linter reads them, one rule per library.
func depguard(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("    depguard:\n      rules: # derived from doors in cmd/surveygate/doors_test.go, which has the command\n")
	named := map[string]bool{}
	for _, d := range doors {
		name := strings.ReplaceAll(path.Base(path.Dir(d.library))+"-"+path.Base(d.library), ".", "-")
		if named[name] {
			t.Fatalf("two rules are called %s", name)
		}
		named[name] = true
		files := []string{`"$all"`}
		if d.tests {
			files = append(files, `"!$test"`)
		}
		desc := d.why
		if len(d.packages) > 0 {
			desc += " (only in " + strings.Join(d.packages, ", ") + ")"
		}
		for _, door := range d.packages {
			files = append(files, fmt.Sprintf(`"!**/%s/**"`, door))
		}
		fmt.Fprintf(&b, "        %s:\n          files: [%s]\n          deny: [{pkg: %s, desc: %q}]\n", name, strings.Join(files, ", "), d.library, desc)
	}
	return b.Bytes()
}
