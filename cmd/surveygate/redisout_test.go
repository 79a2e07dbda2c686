package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

const follower = "../../examples/redis-out/"

// python is an interpreter with Redis' client: the one of the path, or Debian's own.
func python(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"python3", "/usr/bin/python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import redis").Run() == nil {
			return name
		}
	}
	t.Fatal("no python3 has the module redis; make needs installs it")
	return ""
}

// The program of the example reads what the gateway accepted, as the user that its page makes, and goes on where it
// stopped: alone, after it was killed, and after retention was faster.
func TestRedisOut(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	p := start(t, t.TempDir(), "redis: "+server.url()+"\n"+fmt.Sprintf("tokens: [{name: test, secret: %q, scopes: [publish]}]\n", testToken))
	page, err := os.ReadFile(follower + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	setUser := regexp.MustCompile(`(?m)^ACL SETUSER .*$`).FindString(string(page))
	if setUser == "" {
		t.Fatal("the page makes no user")
	}
	var words []any
	for w := range strings.FieldsSeq(setUser) {
		words = append(words, w)
	}
	server.do(words...)
	env := append(os.Environ(), "REDIS_URL="+strings.Replace(server.url(), "redis://", "redis://reports:PASSWORD@", 1), "NAME=one")
	interpreter := python(t)
	follow := func() []string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), interpreter, follower+"follow.py", "--once")
		cmd.Env = env
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, errs.String())
		}
		return scores(string(out))
	}
	client := &http.Client{Timeout: time.Minute}
	defer client.CloseIdleConnections()
	publish := func(scores ...int) {
		t.Helper()
		for _, n := range scores {
			body := fmt.Sprintf(`{"type":"response.completed","id":"e%d","nps_score":%d,"email":"jo@example.com","feedback":"é"}`, n, n)
			if status, result, err := p.publish(client, body); err != nil || status != http.StatusOK || result != "accepted" {
				t.Fatal(status, result, err)
			}
		}
	}
	same := func(what string, got []string, want ...string) {
		t.Helper()
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: printed %v, want %v", what, got, want)
		}
	}

	publish(1, 2, 3)
	same("the first time", follow(), "1", "2", "3")
	same("nothing new", follow())
	publish(4)
	same("one more", follow(), "4")

	// It was given some and killed before it had acknowledged them: they come first, then the new one.
	publish(5, 6)
	server.do("XREADGROUP", "GROUP", "follow", "one", "STREAMS", "surveygate:{0}:events", ">")
	publish(7)
	same("after it was killed", follow(), "5", "6", "7")

	// Of what was removed meanwhile only the id is left, and that holds nothing up.
	publish(8)
	server.do("XREADGROUP", "GROUP", "follow", "one", "STREAMS", "surveygate:{0}:events", ">")
	server.do("XTRIM", "surveygate:{0}:events", "MAXLEN", "0") // as retention does
	publish(9)
	same("after retention", follow(), "9")
	if n := server.pending("surveygate:{0}:events", "follow"); n != "0" {
		t.Errorf("%s pending", n)
	}

	// Left running, it prints each event as it comes.
	cmd := exec.CommandContext(t.Context(), interpreter, follower+"follow.py")
	cmd.Env = env
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stdout)
	for _, n := range []int{10, 0} {
		publish(n)
		if !lines.Scan() || strings.Join(scores(lines.Text()), "") != fmt.Sprint(n) {
			t.Errorf("printed %q", lines.Text())
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()

	// The user of the page can do nothing else.
	out, _ := exec.CommandContext(t.Context(), "redis-cli", "-p", server.port, "--user", "reports", "--pass", "PASSWORD", "--no-auth-warning",
		"XADD", "surveygate:{0}:events", "*", "a", "b").CombinedOutput()
	if !strings.Contains(string(out), "NOPERM") {
		t.Errorf("the reader's user may write: %s", out)
	}
}

// The fields that the page documents are those of an entry, in their order, and the page's own stream source works.
func TestRedisOutPage(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	page, err := os.ReadFile(follower + "README.md")
	if err != nil {
		t.Fatal(err)
	}
	var yaml string
	for _, b := range blocks(t, follower+"README.md") {
		if b.language == "yaml" {
			yaml = b.text
		}
	}
	start(t, t.TempDir(), strings.ReplaceAll(yaml, "redis://127.0.0.1:6379/0", server.url()))
	add := regexp.MustCompile(`(?m)^redis-cli (XADD .*)$`).FindSubmatch(page)
	if add == nil {
		t.Fatal("the page adds nothing")
	}
	script := exec.CommandContext(t.Context(), "bash", "-c", "redis-cli -p "+server.port+" "+string(add[1]))
	if out, err := script.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	until(t, "the event is in the public stream", func() bool {
		return server.do("EXISTS", "surveygate:{0}:events") == "1" && server.do("XLEN", "surveygate:{0}:events") == "1"
	})
	documented := regexp.MustCompile("(?m)^\\| (`[a-z`, ]+`) \\|").FindAllSubmatch(page, -1)
	var names []string
	for _, row := range documented {
		names = append(names, strings.Split(strings.ReplaceAll(string(row[1]), "`", ""), ", ")...)
	}
	lines := strings.Split(server.do("XRANGE", "surveygate:{0}:events", "-", "+"), "\n")
	var got []string
	for i := 1; i < len(lines); i += 2 { // the id, then names and values
		got = append(got, lines[i])
	}
	if strings.Join(names, " ") != strings.Join(got, " ") {
		t.Errorf("the page documents %v, an entry has %v", names, got)
	}
	if lines[0] != "1-0" {
		t.Errorf("the first entry is %s", lines[0])
	}
}

var scoreOf = regexp.MustCompile(`nps=(\S+) jo@example\.com`)

func scores(text string) []string {
	var all []string
	for _, m := range scoreOf.FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}
