package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/surveygate/surveygate/gateway/internal/clock"
	"github.com/surveygate/surveygate/gateway/internal/leaktest"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/state/embedded"
	"github.com/surveygate/surveygate/gateway/internal/state/redis"
	"github.com/surveygate/surveygate/gateway/redistest"
)

func TestMain(m *testing.M) {
	// A pool of go-redis whose node is dead asks for it once a second, and sees only then that it was closed.
	leaktest.Main(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

// Keys of tests, in base64.
const (
	one   = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	two   = "YWJjZGVmZ2hpamtsbW5vcDAxMjM0NTY3ODlhYmNkZWY="
	three = "QUJDREVGR0hJSktMTU5PUDAxMjM0NTY3ODlhYmNkZWY="
)

func keys(t testing.TB, text string) Keys {
	t.Helper()
	k, err := ParseKeys(text, "SURVEYGATE_KEY")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var prefixes atomic.Int64

// engines runs a test on each engine.
func engines(t *testing.T, test func(t *testing.T, store state.Store)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.System()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		test(t, store)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t)
		store, err := redis.Open(redis.Options{URL: server.URL(), Prefix: fmt.Sprint("v", prefixes.Add(1)), Clock: clock.System()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = store.Close() })
		test(t, store)
	})
}

func newVault(t testing.TB, store state.Settings, text string) *Vault {
	t.Helper()
	o := Options{Store: store}
	if text != "" {
		o.Keys = keys(t, text)
	}
	return New(o)
}

// local is a store of its own on the embedded engine.
func local(t testing.TB) state.Store {
	t.Helper()
	store, err := embedded.Open(embedded.Options{Dir: t.TempDir(), Clock: clock.System()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func TestSeal(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, store state.Store) {
		v := newVault(t, store, "k2:"+two+",k1:"+one)
		for _, plain := range []string{"", "a refresh token", string(bytes.Repeat([]byte{0, 255}, 40_000))} {
			text, err := v.Seal("acme", "token", "crm", "refresh", []byte(plain))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(text, "k2:") || plain != "" && strings.Contains(text, plain) {
				t.Errorf("sealed as %.60q", text)
			}
			got, err := v.Open("acme", "token", "crm", "refresh", text)
			if err != nil || string(got) != plain {
				t.Errorf("opened %d bytes, %v", len(got), err)
			}
			if again, _ := v.Seal("acme", "token", "crm", "refresh", []byte(plain)); again == text {
				t.Error("the same text is sealed alike twice")
			}
		}
	})
}

// A sealed value whose text changes in any character, or that is at another place, does not open.
func TestTamper(t *testing.T) {
	t.Parallel()
	v := newVault(t, local(t), "k2:"+two+",k1:"+one)
	text, err := v.Seal("acme", "token", "crm", "refresh", []byte("secret-text"))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what, tenant, kind, name, field, text string) {
		t.Helper()
		plain, err := v.Open(tenant, kind, name, field, text)
		if err == nil || plain != nil {
			t.Errorf("%s: opened", what)
		} else if strings.Contains(err.Error(), "secret-text") || len(text) > 10 && strings.Contains(err.Error(), text[3:]) {
			t.Errorf("%s: the error quotes the value: %v", what, err)
		}
	}
	for i := range text {
		for _, c := range []byte("A_z9:=\n") {
			if c != text[i] {
				refused(fmt.Sprintf("character %d as %q", i, c), "acme", "token", "crm", "refresh", text[:i]+string(c)+text[i+1:])
			}
		}
	}
	for i := range text {
		refused(fmt.Sprint("cut at ", i), "acme", "token", "crm", "refresh", text[:i])
	}
	refused("longer", "acme", "token", "crm", "refresh", text+"A")
	refused("the other key", "acme", "token", "crm", "refresh", "k1"+text[2:])
	refused("another tenant", "acm", "token", "crm", "refresh", text)
	refused("another kind", "acme", "tokens", "crm", "refresh", text)
	refused("another name", "acme", "token", "crn", "refresh", text)
	refused("another field", "acme", "token", "crm", "access", text)
	refused("a moved border", "acmet", "oken", "crm", "refresh", text)
	refused("a moved border", "acme", "tokenc", "rm", "refresh", text)
	refused("a moved border", "acme", "token", "crmr", "efresh", text)
	refused("swapped parts", "crm", "token", "acme", "refresh", text)
	if plain, err := v.Open("acme", "token", "crm", "refresh", text); err != nil || string(plain) != "secret-text" {
		t.Errorf("unchanged: %q, %v", plain, err)
	}
}

// What is missing is named: the key's id and where to set it.
func TestMissingKey(t *testing.T) {
	t.Parallel()
	store := local(t)
	text, err := newVault(t, store, "k2:"+two).Seal("acme", "token", "crm", "refresh", []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = newVault(t, store, "k1:"+one).Open("acme", "token", "crm", "refresh", text)
	if !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "sealed with k2") || !strings.Contains(err.Error(), "`k1:…,k2:…`") {
		t.Errorf("open: %v", err)
	}
	none := newVault(t, store, "")
	if _, err = none.Open("acme", "token", "crm", "refresh", text); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "SURVEYGATE_KEY") {
		t.Errorf("open without keys: %v", err)
	}
	if _, err = none.Seal("acme", "token", "crm", "refresh", nil); !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), "SURVEYGATE_KEY") {
		t.Errorf("seal without keys: %v", err)
	}
	if _, err = none.Reseal(t.Context()); !errors.Is(err, ErrNoKey) {
		t.Errorf("reseal without keys: %v", err)
	}
}

// slow is a store that gives no answer in time.
type slow struct{ state.Settings }

func (slow) Put(context.Context, string, string, string, []byte, uint64) (uint64, error) {
	return 0, fmt.Errorf("put: %w", context.DeadlineExceeded)
}

// A store that does not answer is unavailable: no caller may take that for a fault of its secret.
func TestSealWithoutAStore(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]state.Settings{"refuses": &failing{}, "is slow": slow{}} {
		text, err := newVault(t, store, "k1:"+one).Seal("acme", "token", "crm", "refresh", []byte("x"))
		if text != "" || !errors.Is(err, state.ErrUnavailable) {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	for text, current := range map[string]string{
		one:                                  "k1",
		" " + one + "\n":                     "k1",
		strings.TrimRight(one, "="):          "k1",
		"k7:" + one:                          "k7",
		"k2:" + two + ",k1:" + one:           "k2",
		"k2:" + two + "\nk1:" + one + "\n":   "k2",
		"k2:" + two + ", k10:" + one + " , ": "k2",
		"k3:__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA":  "k3", // the URL's alphabet
		"k3://79/Pv6+fj39vX08/Lx8O/u7ezr6uno5+bl5OPi4eA=": "k3",
	} {
		k, err := ParseKeys(text, "here")
		if err != nil || k.current().id != current {
			t.Errorf("%q: %v", text, err)
		}
	}
	for text, want := range map[string]string{
		"":                         "holds no key",
		" , \n":                    "holds no key",
		"not-base64!":              "k1 is not base64",
		"c2hvcnQ=":                 "k1 has 5 bytes and needs 32",
		one[:40] + "MDEyMzQ1Njc4":  "k1 has 39 bytes and needs 32",
		"k2:" + two + "," + one:    "key 2 has no id",
		two + ",k1:" + one:         "key 1 has no id",
		"k2:" + two + ",k2:" + one: "two keys have the id k2",
		"k2:" + one + ",k1:" + one: "k2 and k1 are the same key",
		"key:" + one:               "key 1 has an id that is not k1",
		"k0:" + one:                "key 1 has an id",
		"k01:" + one:               "key 1 has an id",
		"K1:" + one:                "key 1 has an id",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=": "is not random",
		"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=": "is not random",
	} {
		_, err := ParseKeys(text, "here")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		} else if len(text) > 20 && strings.Contains(err.Error(), text[3:15]) {
			t.Errorf("the error quotes the key: %v", err)
		}
	}
	seen := map[string]bool{}
	for range 100 {
		text := NewKey()
		if _, err := ParseKeys(text, "here"); err != nil || seen[text] {
			t.Fatalf("a new key: %v", err)
		}
		seen[text] = true
	}
}

func TestBehind(t *testing.T) {
	t.Parallel()
	environment, file := keys(t, "k2:"+two), keys(t, "k1:"+one)
	both, err := environment.Behind(file)
	if err != nil || both.current().id != "k2" || both.find("k1") == nil {
		t.Errorf("%v", err)
	}
	if same, err := both.Behind(file); err != nil || !same.Equal(both) {
		t.Errorf("with a key that is there already: %v", err)
	}
	if only, err := (Keys{}).Behind(file); err != nil || !only.Equal(file) {
		t.Errorf("behind none: %v", err)
	}
	if _, err := keys(t, one).Behind(keys(t, two)); err == nil || !strings.Contains(err.Error(), "`k2:…`") {
		t.Errorf("two keys of one id: %v", err)
	}
	if both.Equal(file) || file.Equal(keys(t, two)) || !file.Equal(keys(t, one)) {
		t.Error("Equal is wrong")
	}
}

// Keys are shown by no verb, in no structure and in no log.
func TestKeysArePrintedHidden(t *testing.T) {
	t.Parallel()
	type holder struct {
		Keys Keys
		own  Keys
	}
	h := holder{keys(t, one), keys(t, one)}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		_, _ = fmt.Fprintf(&b, verb+" "+verb+" "+verb+"\n", h, &h, h.Keys)
	}
	slog.New(slog.NewTextHandler(&b, nil)).Info("keys", "keys", h.Keys, "in", h)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("keys", "keys", h.Keys, "in", h)
	if err := json.NewEncoder(&b).Encode(h); err != nil {
		t.Error(err)
	}
	for _, shown := range []string{"0123456789", "30313233", "48 49 50", "0x30, 0x31", "MDEyMzQ"} {
		if strings.Contains(b.String(), shown) {
			t.Errorf("%s is shown:\n%s", shown, b.String())
		}
	}
}

// pinned is `x`, as the first version sealed it for the field refresh of token crm of tenant acme.
const pinned = "k2:1mK7RoVYZ-JXD2TuM4S4PEQvAJO0OTwuIKYRT5s"

// What earlier versions sealed opens.
func TestPinned(t *testing.T) {
	t.Parallel()
	if plain, err := newVault(t, local(t), "k2:"+two).Open("acme", "token", "crm", "refresh", pinned); err != nil || string(plain) != "x" {
		t.Errorf("%q, %v", plain, err)
	}
}

func FuzzOpen(f *testing.F) {
	v := newVault(f, nil, "k2:"+two+",k1:"+one)
	for _, text := range []string{pinned, "k1:" + pinned[3:], "", "k1:", "k2:AAAA", strings.Repeat("k2:", 30)} {
		f.Add("acme", "refresh", text)
	}
	f.Fuzz(func(t *testing.T, tenant, field, text string) {
		plain, err := v.Open(tenant, "token", "crm", field, text)
		genuine := tenant == "acme" && field == "refresh" && text == pinned
		if (err == nil) != genuine {
			t.Errorf("opened %q: %v", plain, err)
		}
		value, err := json.Marshal(map[string]any{field: []any{text, map[string]string{"x": text}}})
		if err != nil {
			t.Fatal(err)
		}
		if found := sealedIn(value); len(found) != map[bool]int{true: 2}[keyID(text) != ""] {
			t.Errorf("found %d in %s", len(found), value)
		}
	})
}
