// Command slow reads what go test -json writes, prints what go test would, and warns at the end of each test that took
// over 5 s and has no reason in the list of the file that is named: "PACKAGE TEST REASON", one a line. It warns and does
// not fail, as a busy machine makes every test slow; an entry of the list that names no test is an error, and so is a
// failed test.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

const (
	module = "github.com/surveygate/surveygate/"
	most   = 5.0 // seconds
)

// event is one line of go test -json; Elapsed does not count the wait of a parallel test for its start.
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: go test -json ./... | slow LIST")
		os.Exit(2)
	}
	list, err := os.ReadFile(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ok, err := report(os.Stdin, os.Stdout, string(list))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if !ok || err != nil {
		os.Exit(1)
	}
}

// report copies the run from in to out and says whether it passed, and whether the list is right.
func report(in io.Reader, out io.Writer, list string) (ok bool, err error) {
	reasons := map[string]string{}
	for line := range strings.Lines(list) {
		pkg, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		test, reason, _ := strings.Cut(rest, " ")
		if pkg != "" && reason == "" {
			return false, fmt.Errorf("no reason: %s", line)
		}
		if pkg != "" {
			reasons[pkg+" "+test] = reason
		}
	}
	ok = true
	buffers := map[string]map[string]*bytes.Buffer{} // what tests printed, by package and test
	seen, passed := map[string]bool{}, map[string]bool{}
	var slow []string
	lines := bufio.NewReader(in)
	for {
		line, fault := lines.ReadString('\n')
		var e event
		switch {
		case line == "":
		case !strings.HasPrefix(line, `{"`) || json.Unmarshal([]byte(line), &e) != nil:
			_, _ = io.WriteString(out, line) // make and what else runs beside the tests
		case e.Action == "build-output":
			_, _ = io.WriteString(out, e.Output)
		case e.Action == "output" && e.Test == "":
			if e.Output != "PASS\n" {
				_, _ = io.WriteString(out, e.Output)
			}
		case e.Action == "output":
			if buffers[e.Package] == nil {
				buffers[e.Package] = map[string]*bytes.Buffer{}
			}
			if buffers[e.Package][e.Test] == nil {
				buffers[e.Package][e.Test] = &bytes.Buffer{}
			}
			buffers[e.Package][e.Test].WriteString(e.Output)
		case e.Action == "pass" || e.Action == "fail" || e.Action == "skip":
			failed := e.Action == "fail"
			ok = ok && !failed
			name := strings.TrimPrefix(e.Package, module)
			switch {
			case e.Test == "":
				passed[name] = !failed
				for _, test := range slices.Sorted(maps.Keys(buffers[e.Package])) { // of tests that did not end
					if failed {
						_, _ = buffers[e.Package][test].WriteTo(out)
					}
				}
				delete(buffers, e.Package)
				continue
			case failed:
				if b := buffers[e.Package][e.Test]; b != nil {
					_, _ = b.WriteTo(out)
				}
			}
			delete(buffers[e.Package], e.Test)
			seen[name+" "+e.Test] = true
			top, _, _ := strings.Cut(e.Test, "/") // its reason is that of its subtests too
			if e.Elapsed > most && strings.Count(e.Test, "/") < 2 && reasons[name+" "+top] == "" {
				slow = append(slow, fmt.Sprintf("%s %s took %.1fs", name, e.Test, e.Elapsed))
			}
		}
		if fault != nil {
			break
		}
	}
	for _, s := range slices.Sorted(slices.Values(slow)) {
		fmt.Fprintf(out, "slow: %s: give it a clock, or a reason in %s\n", s, os.Args[1])
	}
	for _, entry := range slices.Sorted(maps.Keys(reasons)) {
		pkg, _, _ := strings.Cut(entry, " ")
		if passed[pkg] && !seen[entry] {
			ok = false
			fmt.Fprintf(out, "there is no test %s\n", entry)
		}
	}
	return ok, nil
}
