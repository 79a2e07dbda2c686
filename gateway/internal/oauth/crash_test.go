package oauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/oauth"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
)

// childVariable holds the task of a process that may be killed.
const childVariable = "SURVEYGATE_TEST_CHILD"

// child sends one request and ends.
type child struct{ Dir, Redis, Issuer, Refused string }

func TestMain(m *testing.M) {
	if task := os.Getenv(childVariable); task != "" {
		var c child
		if err := json.Unmarshal([]byte(task), &c); err != nil {
			panic(err)
		}
		if err := c.send(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	leaktest.Main(m)
}

func (c child) send() (err error) {
	var store state.Store
	holder := ""
	if c.Redis != "" {
		store, err = redis.Open(redis.Options{URL: c.Redis})
	} else {
		store, err = embedded.Open(embedded.Options{Dir: c.Dir})
		holder = "alone"
	}
	if err != nil {
		return err
	}
	r := makeReplica(oauth.Options{Store: store, Holder: holder})
	i := &issuer{address: c.Issuer}
	if res := r.send(context.Background(), i.refreshing(), connectors.NewSecret(c.Refused)); res.Err != nil || res.Response.Status != 200 {
		return fmt.Errorf("%s %w: %+v", res.Kind, res.Err, res.Response)
	}
	if err := r.tokens.Close(context.Background()); err != nil {
		return err
	}
	return store.Close()
}

// TestKilledBeforeItStores: a process that is killed between the answer of the token endpoint and its record has used up a refresh
// token. The next one uses the same again, as nobody has the successor, and goes on from there.
func TestKilledBeforeItStores(t *testing.T) {
	t.Parallel()
	program := filepath.Join(t.TempDir(), "crashing.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "crashpoints", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0") // the race detector sees nothing of it
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, engine := range []string{"embedded", "redis"} {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t, "first")
			c := child{Dir: t.TempDir(), Issuer: i.address}
			var server *redistest.Server
			if engine == "redis" {
				server = redistest.Start(t, redistest.Durable...)
				c.Redis = server.URL()
			}
			run := func(crashAt string) (string, error) {
				t.Helper()
				task, err := json.Marshal(c)
				if err != nil {
					t.Fatal(err)
				}
				cmd := exec.CommandContext(t.Context(), program)
				cmd.Env = append(os.Environ(), childVariable+"="+string(task), "SURVEYGATE_CRASH_AT="+crashAt)
				out, err := cmd.CombinedOutput()
				if server != nil { // the lease of a killed process would end by itself, in half a minute
					for _, key := range server.Do("KEYS", "*oauth*").([]any) {
						server.Do("DEL", fmt.Sprint(key))
					}
				}
				return string(out), err
			}
			for n := range 2 { // the first refresh token of all, and one that was issued
				if out, err := run("token-fetched:1"); err == nil || !strings.Contains(err.Error(), "killed") {
					t.Fatalf("run %d: it lives (%v)\n%s", n, err, out)
				}
				if i.served() != n {
					t.Errorf("run %d: the token was used before it was stored", n)
				}
				if out, err := run(""); err != nil {
					t.Fatalf("run %d: %v\n%s", n, err, out)
				}
				i.revoke()
				c.Refused = fmt.Sprintf("access-%d", 2*n+2)
			}
			if got := strings.Join(i.used(), " "); got != "first first refresh-2 refresh-2" {
				t.Errorf("used %s", got)
			}
		})
	}
}
