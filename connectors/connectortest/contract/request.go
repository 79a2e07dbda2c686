package contract

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// ResolveFolder is where the documents are, by the value of Variable: a path of the system, or one from the module's root.
func ResolveFolder(value string) (string, error) {
	if value == "" {
		return "", errors.New("the vendors' documents are not given: " + EnvVar + " names no folder")
	}
	if filepath.IsAbs(value) {
		return value, nil
	}
	at, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return filepath.Join(at, value), nil
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("%s is %q, and there is no go.mod above to count from", EnvVar, value)
		}
	}
}

// Parse reads a request as transcripts write one, credentials included: method and URL, headers, an empty line, the
// body. JSON is what a body is where no header says otherwise.
func Parse(text string) (r *http.Request, body []byte, err error) {
	head, rest, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, url, ok := strings.Cut(lines[0], " ")
	if !ok {
		return nil, nil, fmt.Errorf("`%s` is no method and URL", lines[0])
	}
	body = []byte(rest)
	if r, err = http.NewRequestWithContext(context.Background(), method, url, bytes.NewReader(body)); err != nil {
		return nil, nil, err
	}
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, nil, fmt.Errorf("`%s` is no header", line)
		}
		r.Header.Set(name, strings.TrimSpace(value))
	}
	return r, body, nil
}
