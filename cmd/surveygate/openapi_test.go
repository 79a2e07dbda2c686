package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/surveygate/surveygate/configs"
)

// A client that is generated from the description of the API plays the README's story against the program.
func TestGeneratedClient(t *testing.T) {
	t.Parallel()
	module := t.TempDir()
	if err := os.CopyFS(module, os.DirFS("testdata/client")); err != nil {
		t.Fatal(err)
	}
	// The program asks by the client alone: it has no path of its own.
	program, err := os.ReadFile("testdata/client/main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, not := range []string{"/v1", "http.NewRequest", "http.Get", "http.Post", "http.Client", "http.Default"} {
		if bytes.Contains(program, []byte(not)) {
			t.Errorf("the program has %s", not)
		}
	}
	if err := os.Mkdir(filepath.Join(module, "api"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(module, "openapi.json"), configs.OpenAPI, 0o600); err != nil {
		t.Fatal(err)
	}
	// The generator is fetched once, as the modules of the product are; its version and its sums are pinned.
	download := exec.CommandContext(t.Context(), "go", "mod", "download")
	download.Dir = module
	if out, err := download.CombinedOutput(); err != nil {
		t.Fatalf("go mod download: %v\n%s", err, out)
	}
	goTool(t, module, "tool", "oapi-codegen", "-config", "generate.yaml", "openapi.json")
	client := filepath.Join(module, "client")
	goTool(t, module, "build", "-o", client, ".")

	receiver := newSink(t, nil)
	p := start(t, t.TempDir(), fmt.Sprintf(`
outbound: {allow_addresses: ["127.0.0.0/8"], allow_http: true}
webhooks: [{name: warehouse, url: %q, events: [response.updated], signature: none}]
tokens: [{name: client, secret: %q, scopes: [read, write, publish, settings]}]
`, receiver.url, testToken))
	out, err := exec.CommandContext(t.Context(), client, "http://"+p.address, testToken).CombinedOutput()
	if err != nil || string(out) != "played\n" {
		t.Errorf("%v\n%s\n%s", err, out, p.said())
	}
}
