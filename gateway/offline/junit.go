package offline

import (
	"encoding/xml"
	"fmt"
	"io"
	"slices"
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

// add adds a case to a suite.
func (r *junitSuites) add(suite string, c junitCase) {
	i := slices.IndexFunc(r.Suites, func(s junitSuite) bool { return s.Name == suite })
	if i < 0 {
		i = len(r.Suites)
		r.Suites = append(r.Suites, junitSuite{Name: suite})
	}
	s := &r.Suites[i]
	if c.Name == "" { // an inline test: its place in the file changes more often than its number
		c.Name = fmt.Sprintf("test %d", s.Tests+1)
	}
	s.Cases = append(s.Cases, c)
	s.Tests, r.Tests = s.Tests+1, r.Tests+1
	if c.Failure != nil {
		s.Failures, r.Failures = s.Failures+1, r.Failures+1
	}
	if c.Error != nil {
		s.Errors, r.Errors = s.Errors+1, r.Errors+1
	}
}

func (r *junitSuites) write(w io.Writer) error {
	r.Name = "surveygate test"
	text, err := xml.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, xml.Header+string(text)+"\n")
	return err
}

// JUnit writes the results as JUnit XML: a suite for each rule with tests and for each transcript, and one for the coverage if least, the
// percent that are wanted, is above 0.
func (t *Tested) JUnit(w io.Writer, least int) error {
	var report junitSuites
	for i := range t.Results {
		suite, c := junitOf(&t.Results[i])
		report.add(suite, c)
	}
	if least > 0 {
		c := junitCase{Name: fmt.Sprintf("at least %d%%", least), Class: "coverage"}
		if t.Coverage.Percent < least {
			c.Failure = &junitProblem{Message: fmt.Sprintf("%d%% is less than %d%%", t.Coverage.Percent, least), Type: "coverage"}
		}
		report.add("coverage", c)
	}
	return report.write(w)
}

// JUnitFault writes a report of one case, the configuration, which has an error: what keeps all tests from running.
func JUnitFault(w io.Writer, fault error) error {
	var report junitSuites
	report.add("configuration", junitCase{
		Name: "loads", Class: "configuration", Error: &junitProblem{Message: firstLine(fault.Error()), Type: "configuration", Text: fault.Error()},
	})
	return report.write(w)
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
