package client

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/surveygate/surveygate/connectors"
)

// A stream that ends before it had a line is continued where it began, and one that had lines behind the last of them.
func TestTailContinues(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 3)
	answers := []string{": begin\n\nid: 7\n\n", ": begin\n\nid: 7\n\nid: 8\ndata: {\"n\":8,\"kind\":\"event\"}\n\n", ": begin\n\nid: 8\n\nid: 9\ndata: {\"n\":9,\"kind\":\"event\"}\n\n"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header.Get("Last-Event-ID")
		_, _ = io.WriteString(w, answers[len(asked)-1])
	}))
	t.Cleanup(server.Close)
	gw, err := Dial(Options{Server: server.URL, Token: connectors.NewSecret("sg_x")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(gw.Close)
	enough := errors.New("enough")
	err = gw.Tail(t.Context(), nil, nil, func(line *TailLine) error {
		if line.N == 9 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	for _, want := range []string{"", "7", "8"} {
		if got := <-asked; got != want {
			t.Errorf("it asks for what is behind %q, want %q", got, want)
		}
	}
}
