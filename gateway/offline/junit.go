package offline

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
)

// junitSuites is a report in the form that JUnit made common. Readers of it: https://docs.gitlab.com/ci/testing/unit_test_reports/
type junitSuites struct {
	XMLName  xml.Name     `xml:"testsuites"`
	Name     string       `xml:"name,attr"`
	Tests    int          `xml:"tests,attr"`
	Failures int          `xml:"failures,attr"`
	Errors   int          `xml:"errors,attr"`
	Suites   []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Failure *junitProblem `xml:"failure"`
	Error   *junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

// JUnit writes the results as JUnit XML: a suite for each rule with tests and for each transcript, and one for the coverage if least, the
// percent that are wanted, is above 0.
func (t *Tested) JUnit(w io.Writer, least int) error {
	report := junitSuites{Name: "surveygate test"}
	at := map[string]int{} // of suites, by name
	add := func(suite string, c junitCase) {
		i, found := at[suite]
		if !found {
			i = len(report.Suites)
			at[suite] = i
			report.Suites = append(report.Suites, junitSuite{Name: suite})
		}
		s := &report.Suites[i]
		if c.Name == "" { // an inline test: its place in the file changes more often than its number
			c.Name = fmt.Sprintf("test %d", s.Tests+1)
		}
		s.Cases = append(s.Cases, c)
		s.Tests, report.Tests = s.Tests+1, report.Tests+1
		if c.Failure != nil {
			s.Failures, report.Failures = s.Failures+1, report.Failures+1
		}
		if c.Error != nil {
			s.Errors, report.Errors = s.Errors+1, report.Errors+1
		}
	}
	for i := range t.Results {
		suite, c := junitOf(&t.Results[i])
		add(suite, c)
	}
	if least > 0 {
		c := junitCase{Name: fmt.Sprintf("at least %d%%", least), Class: "coverage"}
		if t.Coverage.Percent < least {
			c.Failure = &junitProblem{Message: fmt.Sprintf("%d%% is less than %d%%", t.Coverage.Percent, least), Type: "coverage"}
		}
		add("coverage", c)
	}
	text, err := xml.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(text)+"\n")
	return err
}

// junitOf returns the case of a test, and the suite to which it belongs.
func junitOf(r *TestResult) (suite string, c junitCase) {
	if r.Transcript != "" {
		suite, c = r.Transcript, junitCase{Name: r.Title, Class: r.Transcript, File: r.Transcript}
		if c.Name == "" {
			c.Name = r.Transcript
		}
	} else {
		suite = "rule " + r.Rule
		if r.Tenant != "default" {
			suite += " of tenant " + r.Tenant
		}
		c = junitCase{Class: suite, File: r.file}
	}
	why := strings.Join(r.Why, "\n")
	switch {
	case r.Passed:
	case r.Error != "":
		c.Error = &junitProblem{Message: firstLine(r.Error), Type: "unreadable", Text: r.Error}
	case r.Transcript != "":
		c.Failure = &junitProblem{Message: r.At + ": what is sent differs", Type: "transcript", Text: r.Diff + why}
	default:
		message := fmt.Sprintf("%s: expected [%s], got [%s]", r.At, strings.Join(r.Want, ", "), strings.Join(r.Got, ", "))
		c.Failure = &junitProblem{Message: message, Type: "steps", Text: why}
	}
	return suite, c
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
