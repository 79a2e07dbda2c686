package document

import (
	"encoding/json"
	"strings"
	"testing"
)

// What YAML writes is read as the same values, by both parsers.
func TestYAMLIsReadAgain(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{}`, `[]`, `{"a":{}}`, `{"a":[]}`, `{"a":null}`, `{"a":[[1,2],[]]}`, `{"a":[{"b":1,"c":["d"]},{"e":{}}]}`,
		`{"n":1,"f":1.50,"big":12345678901234567890,"t":true,"s":"true","y":"Yes","num":"1e5","null":"null","~":"~","empty":""}`,
		`{"when":"nps_score <= 6","not plain":"a: b # c","dash":"- a","star":"*","at":"@x","url":"https://a.example.com/?x=1#y"}`,
		`{"lines":"a\nb\n","more":"a\n  b\n\nc","ends":"a\nb\n\n","spaces":" a\nb","trailing":"a \nb","tab":"a\tb\nc","cr":"a\r\nb"}`,
		`{"odd":"\u0085\u2028\u0000\u007f\ufeff ğüş 😀","quotes":"'\"\\","var":"$${X} ${Y}"}`,
		`{"response.*":["response.*","a","b"],"key with: colon":1,"<<":{"a":1},"` + strings.Repeat("k", 90) + `":1}`,
		`{"long":"` + strings.Repeat("abc 😀 ", 3000) + `","list":["` + strings.Repeat("x", 70) + `","` + strings.Repeat("y ", 3000) + `"]}`,
		`{"long spaces":"` + strings.Repeat(" ", 5000) + `","long lines":"` + strings.Repeat(`ab\n`, 3000) + `"}`,
	} {
		node, faults := ParseStored("store:x", []byte(text))
		if node == nil {
			t.Fatal(faults)
		}
		for name, parse := range map[string]func(string, []byte) (*Node, Faults){"file": Parse, "stored": ParseStored} {
			written := node.YAML(0)
			again, faults := parse("x.yaml", []byte(written))
			if again == nil {
				t.Errorf("%s: %s\n%s", name, faults, written)
				continue
			}
			if got, want := string(again.JSON()), string(node.JSON()); got != want {
				t.Errorf("%s: read %.400s, want %.400s; written as\n%.600s", name, got, want, written)
			}
		}
	}
}

func FuzzYAML(f *testing.F) {
	f.Add(`{"a":["b",{"c":"d: e"}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		if !json.Valid([]byte(text)) {
			return
		}
		node, _ := ParseStored("store:x", []byte(text))
		if node == nil || node.Kind != Mapping || strings.Contains(text, `\u0000`) {
			return
		}
		again, faults := Parse("x.yaml", []byte(node.YAML(0)))
		if again == nil {
			t.Fatalf("%s\n%s", faults, node.YAML(0))
		}
		if string(again.JSON()) != string(node.JSON()) {
			t.Fatalf("%s != %s\n%s", again.JSON(), node.JSON(), node.YAML(0))
		}
	})
}
