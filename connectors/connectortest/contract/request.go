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

// ResolveFolder returns the folder of the documents. value is the value of EnvVar: an absolute path, or one relative to the
// module's root.
func ResolveFolder(value string) (string, error) {
	if value == "" {
		return "", errors.New("the folder of the vendors' documents is unknown: set " + EnvVar)
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
			return "", fmt.Errorf("%s is %q, and no go.mod marks the root that it is relative to", EnvVar, value)
		}
	}
}

// Parse parses a request in the form of transcripts, with credentials: method and URL, headers, an empty line, the body. The
// content type of a body is application/json unless a header sets another one.
func Parse(text string) (r *http.Request, body []byte, err error) {
	head, rest, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(head, "\n")
	method, url, ok := strings.Cut(lines[0], " ")
	if !ok {
		return nil, nil, fmt.Errorf("`%s` is not a method and a URL", lines[0])
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
			return nil, nil, fmt.Errorf("`%s` is not a header", line)
		}
		r.Header.Set(name, strings.TrimSpace(value))
	}
	return r, body, nil
}
