package document

import (
	"fmt"
	"strings"
	"testing"
)

// A comment is found wherever YAML has one, and nothing else is taken for one.
func TestComments(t *testing.T) {
	t.Parallel()
	const text = `# mark: top
# more

a: 1 # mark: beside
b: "x # mark: quoted" # mark: behind quotes
c: 'it''s # mark: single' # mark: behind single
d: |
  # mark: in a block
  text # mark: in a block

# mark: below a block
e: > # mark: behind a folded head
  folded # mark: in a folded
  text
f: plain # mark: behind plain
g: plain#mark:joined
h: two
  lines # mark: behind two lines
# mark: for i
# another
i:
  # mark: for the item
  - x: [1, # mark: in flow
      2]
  - "a
    # mark: in two quoted lines"
j: é # mark: behind é
"k # mark: key": 1
`
	root, faults := Parse("x.yaml", []byte(text))
	if faults != nil {
		t.Fatal(faults)
	}
	var got []string
	for _, c := range root.Comments("mark:") {
		kind := "beside"
		if c.Alone {
			kind = fmt.Sprintf("above %d", c.Below())
		}
		line := []rune(strings.Split(text, "\n")[c.Line-1])
		if line[c.Column-1] != '#' {
			t.Errorf("line %d, column %d is %q", c.Line, c.Column, line[c.Column-1])
		}
		if f := c.FaultAt(1, 4, "m", ""); string(line[f.Column-1:f.Column-1+f.Length]) != "mark" {
			t.Errorf("the caret is under %q", string(line[f.Column-1:f.Column-1+f.Length]))
		}
		got = append(got, fmt.Sprintf("%d %s:%s", c.Line, kind, strings.TrimPrefix(c.Text, " mark:")))
	}
	want := []string{
		"1 above 0: top", "4 beside: beside", "5 beside: behind quotes", "6 beside: behind single", "11 above 12: below a block",
		"12 beside: behind a folded head", "15 beside: behind plain", "18 beside: behind two lines", "19 above 21: for i",
		"22 above 23: for the item", "23 beside: in flow", "27 beside: behind é",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for key, want := range map[string][2]int{"a": {4, 4}, "d": {7, 9}, "e": {12, 14}, "h": {17, 18}, "i": {23, 26}} {
		if first, last := root.Key(key).Lines(); [2]int{first, last} != want {
			t.Errorf("%s is on lines %d to %d, want %v", key, first, last, want)
		}
	}
	if end := root.EndOf(7); end != 9 {
		t.Errorf("what begins on line 7 ends on %d", end)
	}
}
