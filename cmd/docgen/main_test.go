package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/config"
)

const root = "../.."

func TestDerivedFilesAreFresh(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(&out, root, true); err != nil {
		t.Errorf("%v\n%s", err, &out)
	}
}

func TestStaleFilesAreSeenAndWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range sources {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	files, err := derive(dir)
	if err != nil {
		t.Fatal(err)
	}
	stale := func(f file) []byte {
		if f.part == "" {
			return []byte("stale")
		}
		return []byte("Written by a person.\n<!-- " + f.part + " -->\nstale\n<!-- /" + f.part + " -->\nThe end.\n")
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.path), stale(f), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := run(&out, dir, true); err == nil {
		t.Error("-check found nothing")
	}
	for _, f := range files {
		if !strings.Contains(out.String(), f.path+" is stale\n") {
			t.Errorf("-check did not name %s:\n%s", f.path, &out)
		}
		if text, err := os.ReadFile(filepath.Join(dir, f.path)); err != nil || !bytes.Equal(text, stale(f)) {
			t.Errorf("-check wrote %s (%v)", f.path, err)
		}
	}
	if err := run(io.Discard, dir, false); err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		want := f.text
		if f.part != "" { // what people wrote around it stays
			want = bytes.Replace(stale(f), []byte("stale\n"), f.text, 1)
		}
		if text, err := os.ReadFile(filepath.Join(dir, f.path)); err != nil || !bytes.Equal(text, want) {
			t.Errorf("%s was not written (%v)", f.path, err)
		}
	}
}

// sources are what pages are made of.
var sources = []string{"connectors", "configs", "gateway", "rules"}

// A page that lost the place of a derived part is a fault, not a page without it.
func TestAPartWithoutAPlaceIsAnError(t *testing.T) {
	t.Parallel()
	f := file{path: "page.md", text: []byte("derived\n"), part: "names"}
	for _, page := range []string{"", "<!-- names -->\n", "<!-- /names -->\n"} {
		if _, err := f.fresh([]byte(page)); err == nil || !strings.Contains(err.Error(), "`names` has no place") {
			t.Errorf("%q: %v", page, err)
		}
	}
}

func TestTheReferenceIsAConfiguration(t *testing.T) {
	t.Parallel()
	if _, err := config.Load(config.Options{Path: filepath.Join(root, "configs", "surveygate.yaml")}); err != nil {
		t.Errorf("as it stands: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(root, "configs", "surveygate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(string(text), "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			t.Errorf("line %d sets something: %s", i+1, line)
		}
	}
}

var placeholder = regexp.MustCompile(`\bNAME\b`)

// Uncommented, the reference is a configuration too: every name is known, and every sample fits.
func TestTheReferenceUncommented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "configs", "surveygate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		line = strings.TrimPrefix(line, "#")
		b.WriteString(placeholder.ReplaceAllString(strings.ReplaceAll(line, "${NAME}", "${X}"), "name"))
	}
	// A rule and a webhook have `settle` or `delay`. The product that stands beside `batch` takes none, and a source takes requests or a stream. Certificates are files, and none is there.
	uncommented := regexp.MustCompile(`(?m)^ +batch:\n( +(#|max:|wait:).*\n)+`).ReplaceAllString(b.String(), "")
	uncommented = regexp.MustCompile(`(?m)^    (redis(_stream)?|delay): .*\n`).ReplaceAllString(uncommented, "")
	uncommented = regexp.MustCompile(`(?m)^ +tls:\n`).ReplaceAllString(uncommented, "")
	uncommented = regexp.MustCompile(`(?m)^ +(ca|cert|key): .*\n`).ReplaceAllString(uncommented, "")
	uncommented = regexp.MustCompile(`(?m)^( *)(public_url|origins): (\[?)name`).ReplaceAllString(uncommented, "$1$2: ${3}https://name.example.com")
	path := filepath.Join(t.TempDir(), "surveygate.yaml")
	if err := os.WriteFile(path, []byte(uncommented), 0o600); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, filepath.Dir(path))
	// What is unset is not checked, so that settings which exclude each other may stand together.
	c, err := config.Load(config.Options{Path: path, AllowUnset: true, Env: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	products := 0
	for _, name := range connectors.Names() {
		if !strings.Contains(name, ".") {
			products++
		}
	}
	if len(c.Sources) != 1 || len(c.Destinations) != products || len(c.Rules) != 2 || len(c.Tokens) != 1 {
		t.Errorf("it has %d sources, %d destinations, %d rules, %d tokens", len(c.Sources), len(c.Destinations), len(c.Rules), len(c.Tokens))
	}
}

// writeCertificate writes the files that the samples of `tls` and `outbound` name: they are read where a configuration is.
func writeCertificate(t *testing.T, folder string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	of := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(100 * 24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, of, of, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	for setting, text := range map[string][]byte{
		"ca": public, "cert": public, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
	} {
		if err := os.WriteFile(filepath.Join(folder, samples[setting]), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEverySampleIsOfASetting(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(root, "configs", "surveygate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, sample := range samples {
		if !strings.Contains(string(text), name[strings.LastIndexByte(name, '.')+1:]+": "+sample+"\n") {
			t.Errorf("no setting has the sample of `%s`", name)
		}
		if _, product := connectors.New(strings.Split(name, ".")[0]); product {
			t.Errorf("`%s` is a product's setting, whose sample is in the product's transcripts", name)
		}
	}
}

func TestSettingsOfATranscript(t *testing.T) {
	t.Parallel()
	got := settings("# all\nurl: \"https://x\" \ntags: [a,\n  b]\n\nfields:\n  A: a\n  B:\n    b: 1\n  C: 3\n  D: 4\nlist:\n- 1\n- 2\n")
	want := map[string][]string{
		"url": {`"https://x"`}, "tags": {"[a,", "  b]"}, "fields": {"", "  A: a", "  B:", "    b: 1", "  C: 3", "  D: 4"}, "list": {"", "- 1", "- 2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want["fields"][:5], shortened(got["fields"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestASettingWithoutACommentIsAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, folder := range sources {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "connectors", "slack", "slack.go")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	silent := bytes.ReplaceAll(text, []byte("\t// Token is a bot's"), []byte("\t//\n\n\t// Nobody is a bot's"))
	silent = bytes.ReplaceAll(silent, []byte("\tToken connectors.Secret"), []byte("\n\tToken connectors.Secret"))
	if bytes.Equal(text, silent) {
		t.Fatal("the comment was not found")
	}
	if err := os.WriteFile(path, silent, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := derive(dir); err == nil || !strings.Contains(err.Error(), "Token has no comment") {
		t.Errorf("got %v", err)
	}
}
