package route

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/internal/web/answer"
)

// What a decoder would drop or replace is refused, with its place.
func TestReadJSONRefuses(t *testing.T) {
	t.Parallel()
	type spec struct {
		Title    string            `json:"title"`
		Scopes   []string          `json:"scopes"`
		Metadata map[string]string `json:"metadata"`
		Most     int               `json:"most"`
	}
	for _, c := range []struct {
		body   string
		status int
		loc    string
	}{
		{`{"title": "a", "scopes": ["a", "a"], "metadata": {"a": "x", "b": "x", "": ""}}`, 0, ""},
		{`{"title": "\ud83d\ude00"}`, 0, ""},
		{`{"title": "a", "title": "b"}`, 422, "title"},
		{`{"scopes": ["read"], "\u0073copes": ["admin"]}`, 422, "scopes"},
		{`{"metadata": {"a": "x", "a": "y"}}`, 422, "metadata a"},
		{`{"metadata": {"a": "x"}, "metadata": {"b": "y"}}`, 422, "metadata"},
		{`{"title": "\ud800"}`, 422, "title"},
		{`{"scopes": ["a", "\udc00\ud800"]}`, 422, "scopes 1"},
		{"{\"title\": \"\xff\xfe\"}", 400, ""},
		{`{"most": ` + strings.Repeat("9", 5000) + `}`, 422, "most"},
		{`{"title": ` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`, 422, "title"},
		{`{"title": "a", "Title": "b"}`, 422, "Title"},
	} {
		err := ReadJSON([]byte(c.body), &spec{})
		short := c.body[:min(len(c.body), 60)]
		if c.status == 0 {
			if err != nil {
				t.Errorf("%s: %v", short, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%s is taken", short)
			continue
		}
		got := answer.FromError(err)
		if got.Status != c.status || strings.Join(got.Detail[0].Loc, " ") != c.loc || len(got.Detail[0].Msg) > 200 {
			t.Errorf("%s: %d %+v", short, got.Status, got.Detail)
		}
	}
}
