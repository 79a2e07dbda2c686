package transcript

import (
	"fmt"
	"slices"
	"strings"
)

const (
	// context is the number of equal lines that are shown before and after a difference.
	context = 3
	// maxTable bounds the comparison of lines: beyond it, all lines between the first and the last difference count as different.
	maxTable = 4 << 20
	// maxDiff is the number of lines that are shown.
	maxDiff = 200
)

// edit is a line of a difference: `-` is expected only, `+` sent only, and ` ` both. head marks the name of a part, which is shown if
// anything of its part differs.
type edit struct {
	sign byte
	line string
	head bool
}

// differ collects the differences of parts. line is where the first of them is in the file, or else where to look for it.
type differ struct {
	edits  []edit
	differ bool
	line   int
}

// add compares one part, which is expected at a line; 0: it is not expected.
func (d *differ) add(want, got string, line int) {
	all := edits(lines(want), lines(got))
	if len(all) > 0 {
		all[0].head = true
	}
	if want != got && !d.differ {
		d.differ = true
		if line > 0 {
			d.line = line + max(0, slices.IndexFunc(all, func(e edit) bool { return e.sign != ' ' }))
		}
	}
	d.edits = append(d.edits, all...)
}

// text returns the lines that differ, with some that are equal around them, and the line of the first; an empty text: there is none.
func (d *differ) text() (difference string, line int) {
	if !d.differ {
		return "", 0
	}
	shown := make([]bool, len(d.edits))
	head := 0
	for i, e := range d.edits {
		if e.head {
			head = i
		}
		if e.sign != ' ' {
			shown[head] = true
			for j := max(head, i-context); j <= min(i+context, len(d.edits)-1) && (j <= i || !d.edits[j].head); j++ {
				shown[j] = true
			}
		}
	}
	var b strings.Builder
	n, left, gap := 0, 0, false
	for i, e := range d.edits {
		switch {
		case !shown[i]:
			gap = true
		case n == maxDiff:
			left++
		default:
			if gap && n > 0 {
				b.WriteString("  …\n")
			}
			b.WriteString(strings.TrimRight(string(e.sign)+" "+e.line, " ") + "\n")
			n, gap = n+1, false
		}
	}
	if left > 0 {
		fmt.Fprintf(&b, "  … %d more lines\n", left)
	}
	return b.String(), d.line
}

func lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// edits compares two lists of lines by their longest common subsequence.
func edits(want, got []string) (all []edit) {
	var tail []edit
	for len(want) > 0 && len(got) > 0 && want[0] == got[0] {
		all = append(all, edit{sign: ' ', line: want[0]})
		want, got = want[1:], got[1:]
	}
	for len(want) > 0 && len(got) > 0 && want[len(want)-1] == got[len(got)-1] {
		tail = append(tail, edit{sign: ' ', line: want[len(want)-1]})
		want, got = want[:len(want)-1], got[:len(got)-1]
	}
	all = append(all, middle(want, got)...)
	for _, e := range slices.Backward(tail) {
		all = append(all, e)
	}
	return all
}

func middle(want, got []string) (all []edit) {
	width := len(got) + 1
	var longest []int32 // of want[i:] and got[j:], at i*width+j
	if len(want) > 0 && (len(want)+1) <= maxTable/width {
		longest = make([]int32, (len(want)+1)*width)
		for i, line := range slices.Backward(want) {
			for j, other := range slices.Backward(got) {
				if line == other {
					longest[i*width+j] = longest[(i+1)*width+j+1] + 1
				} else {
					longest[i*width+j] = max(longest[(i+1)*width+j], longest[i*width+j+1])
				}
			}
		}
	}
	i, j := 0, 0
	for i < len(want) && j < len(got) && longest != nil {
		switch {
		case want[i] == got[j]:
			all = append(all, edit{sign: ' ', line: want[i]})
			i, j = i+1, j+1
		case longest[(i+1)*width+j] >= longest[i*width+j+1]:
			all = append(all, edit{sign: '-', line: want[i]})
			i++
		default:
			all = append(all, edit{sign: '+', line: got[j]})
			j++
		}
	}
	for ; i < len(want); i++ {
		all = append(all, edit{sign: '-', line: want[i]})
	}
	for ; j < len(got); j++ {
		all = append(all, edit{sign: '+', line: got[j]})
	}
	return all
}
