package main

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/tools/txtar"
)

// transcripts returns a product's transcripts of its main connector, the example of its page first, then those with all settings.
func transcripts(root, product string) ([]*txtar.Archive, error) {
	files, err := filepath.Glob(filepath.Join(root, "connectors", product, "testdata", "*.txtar"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no transcript in connectors/%s/testdata", product)
	}
	rank := func(file string) int {
		return slices.IndexFunc([]string{"1-", "all-", ""}, func(prefix string) bool { return strings.HasPrefix(filepath.Base(file), prefix) })
	}
	slices.SortFunc(files, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	all := make([]*txtar.Archive, len(files))
	for i, file := range files {
		if all[i], err = txtar.ParseFile(file); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// settingsOf returns what a product's transcripts write for each of its settings: the lines of the first one that sets it,
// without the setting's name. Transcripts of settings that are refused do not count.
func settingsOf(root, product string) (map[string][]string, error) {
	archives, err := transcripts(root, product)
	if err != nil {
		return nil, err
	}
	all := map[string][]string{}
	for _, archive := range archives {
		var text []byte
		for _, part := range archive.Files {
			switch {
			case part.Name == "config.yaml":
				text = part.Data
			case part.Name == "build" && bytes.HasPrefix(part.Data, []byte("invalid: ")):
				text = nil
			}
		}
		for name, lines := range settings(string(text)) {
			if all[name] == nil {
				all[name] = lines
			}
		}
	}
	return all, nil
}

// settings splits a mapping of settings into their names and lines.
func settings(text string) map[string][]string {
	all, name := map[string][]string{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		setting, value, ok := strings.Cut(line, ":")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, " ") || strings.HasPrefix(line, "- ") || !ok:
			all[name] = append(all[name], line)
		default:
			name = setting
			all[name] = []string{strings.TrimSpace(value)}
		}
	}
	return all
}

// maxEntries is the number of entries that are shown of a list or mapping over several lines.
const maxEntries = 3

// shortened returns a setting's lines without the entries after the first ones. Texts over several lines (`|`) are whole.
func shortened(lines []string) []string {
	if lines[0] != "" {
		return lines
	}
	entries, indent := 0, -1
	for i, line := range lines[1:] {
		at := len(line) - len(strings.TrimLeft(line, " "))
		if indent < 0 {
			indent = at
		}
		if at == indent {
			entries++
		}
		if entries > maxEntries {
			return lines[:i+1]
		}
	}
	return lines
}
