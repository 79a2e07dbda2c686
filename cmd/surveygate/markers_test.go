package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/connectors/connectortest"
	"github.com/surveygate/surveygate/connectors/declared"
)

// markers are the secrets of a configuration, each one's own text.
type markers struct {
	texts []string
	// values are the settings that hold them, as the configuration would write them.
	values []string
}

// of makes a secret: format holds %s for it.
func (m *markers) of(format string) string {
	return m.add(fmt.Sprintf("MARKER%02dx0123456789x0123456789", len(m.texts)), format)
}

func (m *markers) add(text, format string) string {
	value := strings.ReplaceAll(format, "%s", text)
	m.texts, m.values = append(m.texts, text), append(m.values, value)
	return value
}

// key makes a key of the vault, which is random.
func (m *markers) key() string {
	random := make([]byte, 32)
	_, _ = rand.Read(random) // it never fails
	text := base64.StdEncoding.EncodeToString(random)
	m.texts = append(m.texts, text)
	return text
}

// shownIn are those that a text holds.
func (m *markers) shownIn(text string) []string {
	var found []string
	for _, marker := range m.texts {
		if strings.Contains(text, marker) {
			found = append(found, marker)
		}
	}
	return found
}

// secretEvent is sent to every product.
const secretEvent = `{"type":"response.completed","nps_score":3,"email":"jo@example.com","consent":true}`

// object and list are JSON, which is YAML.
type (
	object = map[string]any
	array  = []any
)

// secretConfiguration sets every setting that is a secret; peer answers for every product, and is the proxy to them. The secrets of
// products that it does not name itself are those of their transcripts.
func secretConfiguration(t *testing.T, m *markers, peer, redis string) object {
	t.Helper()
	c := namedSecrets(m, peer, redis)
	var steps array
	marked := markedPaths(c, "", freeNames)
	for _, product := range connectors.Names() {
		if strings.Contains(product, ".") {
			continue
		}
		for i, settings := range connectortest.Settings(t, "../../connectors", product) {
			var missing []string
			for _, path := range secretPaths(t) {
				name, ok := strings.CutPrefix(path, ".connections.*."+product+".")
				if text, isText := settings[name].(string); ok && isText && text != "" && !slices.Contains(marked, path) {
					missing, marked = append(missing, name), append(marked, path)
				}
			}
			if len(missing) == 0 {
				continue
			}
			connection := fmt.Sprintf("%s-%d", product, i)
			c["connections"].(object)[connection] = object{product: m.marked(t, product, settings, missing, peer), "capture": "all"}
			steps = append(steps, connection)
		}
	}
	rule := c["rules"].(array)[0].(object)
	rule["send"] = append(rule["send"].(array), steps...)
	return c
}

// marked returns the settings of a connection to peer, with markers in the named secrets, in a form that the connector takes.
func (m *markers) marked(t *testing.T, product string, settings object, secrets []string, peer string) object {
	t.Helper()
	made, ok := connectors.New(product)
	if !ok {
		t.Fatal(product)
	}
	for _, s := range declared.Settings(reflect.TypeOf(made)) {
		if strings.HasSuffix(s.Name, "_url") {
			settings[s.Name] = peer + "/" + product
		}
	}
	for _, name := range secrets {
		written := settings[name].(string)
		found := slices.ContainsFunc(formats(written, peer), func(format string) bool {
			settings[name] = strings.ReplaceAll(format, "%s", "MARKERx0123456789x0123456789")
			if !accepted(product, settings) {
				return false
			}
			settings[name] = m.of(format)
			return true
		})
		if !found {
			t.Fatalf("%s: no form of a marker is accepted as %s", product, name)
		}
	}
	return settings
}

// accepted reports whether a product can be sent an event with these settings.
func accepted(product string, settings object) bool {
	text, err := json.Marshal(settings)
	if err != nil {
		return false
	}
	c, _ := connectors.New(product)
	if connectortest.Bind(text, c) != nil {
		return false
	}
	ev, err := connectortest.ParseEvent([]byte(secretEvent))
	if err != nil {
		return false
	}
	_, err = c.Build(ev)
	return err == nil
}

// formats returns forms of a secret with %s for a marker, the ones that hold the least beside it first.
func formats(written, peer string) []string {
	if block, _ := pem.Decode([]byte(written)); block != nil {
		block.Headers = map[string]string{"Comment": "%s"}
		return []string{string(pem.EncodeToMemory(block))}
	}
	var file object
	if json.Unmarshal([]byte(written), &file) == nil {
		file["private_key_id"], file["token_uri"] = "%s", peer+"/token"
		text, _ := json.Marshal(file) // it was JSON
		return []string{string(text)}
	}
	if u, err := url.Parse(written); err == nil && u.Host != "" {
		return []string{peer + u.RequestURI() + "%s"}
	}
	return []string{"%s", written + "%s", "%s" + written}
}

// namedSecrets sets the secrets of everything but most products.
func namedSecrets(m *markers, peer, redis string) object {
	own := strings.TrimPrefix(peer, "http://")
	key := base64.StdEncoding.EncodeToString([]byte("a key of more than twenty-four bytes"))
	certificate, private := clientCertificate()
	tls := func() object { return object{"cert": certificate, "key": m.of(private)} }
	another := base64.StdEncoding.EncodeToString([]byte("another key of more than twenty-four bytes"))
	return object{
		"outbound": object{"allow_addresses": array{"127.0.0.0/8"}, "allow_http": true, "proxy": m.of("http://proxy:%s@" + own)},
		"redis":    object{"url": m.of(strings.Replace(redis, "redis://", "redis://default:%s@", 1))},
		"tokens":   array{object{"name": "all", "secret": m.of("%s-and-some-more"), "scopes": array{"read", "write", "publish", "secrets"}}},
		"sources": object{
			"monkey": object{"profile": "surveymonkey", "secrets": array{m.of("%s"), m.of("%s")}, "vars": object{"api_key": m.of("%s")}},
			"poltio": object{"profile": "poltio", "path_token": m.of("%s")},
			"stream": object{"redis_stream": "theirs", "redis": m.of(strings.Replace(redis, "redis://", "redis://default:%s@", 1))},
		},
		"connections": object{
			"analytics": object{"ga4": object{"measurement_id": "G-1234567", "api_secret": m.of("%s"), "base_url": peer + "/ga4"}, "capture": "all"},
			"contacts":  object{"hubspot": object{"token": m.of("%s"), "base_url": peer + "/hubspot"}, "capture": "all", "tls": tls()},
			"list":      object{"mailchimp": object{"api_key": m.of("%s-us6"), "audience": "a1", "consent": "assume", "base_url": peer + "/mailchimp"}, "capture": "all"},
			"bot":       object{"slack": object{"token": m.of("xoxb-%s"), "channel": "C1", "base_url": peer + "/slack"}, "capture": "all"},
			"receiver": object{"webhook": object{
				"url": peer + "/in", "secrets": array{m.add(another, "whsec_%s")}, "headers": object{"X-Key": m.of("%s")},
			}, "capture": "all"},
			"channel": object{"slack": object{"webhook": m.of(peer + "/services/T/B/%s")}, "capture": "all"},
		},
		"webhooks": array{object{
			"name": "hook", "url": m.of(peer + "/hooks/catch/%s/?sig=%s"), "secrets": array{m.add(key, "whsec_%s")}, "capture": "all",
			"headers": object{"Authorization": m.of("Bearer %s"), "X-Key": m.of("%s")},
			"events":  array{"response.completed"},
			"tls":     tls(),
		}},
		"rules": array{object{"name": "all", "send": array{
			"analytics", "contacts",
			object{"contacts.note": object{"text": "x"}, "as": "note"},
			"list", "bot", "channel", "receiver",
			object{"hook": object{"headers": object{"X-Step": m.of("%s")}}, "as": "step"},
		}}},
	}
}

// clientCertificate is a certificate and its key, with a place for a text in the key.
var clientCertificate = sync.OnceValues(func() (certificate, key string) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(90 * 24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		panic(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Headers: map[string]string{"Comment": "%s"}, Bytes: keyDER}))
})

// secretPaths are the places of a configuration whose settings are secrets by the schema: names of things are `*`.
func secretPaths(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../configs/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var root object
	if err := json.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	var found []string
	var walk func(at string, node any)
	walk = func(at string, node any) {
		n, ok := node.(object)
		if !ok {
			return
		}
		if ref, ok := n["$ref"].(string); ok {
			walk(at, root["$defs"].(object)[strings.TrimPrefix(ref, "#/$defs/")])
		}
		if n["writeOnly"] == true {
			found = append(found, at)
		}
		for _, part := range []string{"anyOf", "oneOf", "allOf"} {
			list, _ := n[part].(array)
			for _, each := range list {
				walk(at, each)
			}
		}
		properties, _ := n["properties"].(object)
		for name, each := range properties {
			walk(at+"."+name, each)
		}
		walk(at+".*", n["additionalProperties"])
		walk(at+"[]", n["items"])
	}
	walk("", root)
	slices.Sort(found)
	return slices.Compact(found)
}

// markedPaths are the places at which a configuration holds a marker.
func markedPaths(value any, at string, free map[string]bool) []string {
	var found []string
	switch v := value.(type) {
	case string:
		if strings.Contains(v, "MARKER") || strings.HasPrefix(v, "whsec_") {
			found = append(found, at)
		}
	case array:
		for _, each := range v {
			found = append(found, markedPaths(each, at+"[]", free)...)
		}
	case object:
		for name, each := range v {
			if free[at] {
				name = "*"
			}
			found = append(found, markedPaths(each, at+"."+name, free)...)
		}
	}
	return found
}

// freeNames are the mappings whose keys are names of things.
var freeNames = map[string]bool{
	".sources": true, ".sources.*.vars": true, ".connections": true, ".webhooks[].headers": true, ".rules[].send[]": true,
	".rules[].send[].*.headers": true, ".connections.*.webhook.headers": true,
}

func quoted(text string) string {
	b, _ := json.Marshal(text) // a string always marshals
	return string(b)
}

func pathToken(c object) string {
	return c["sources"].(object)["poltio"].(object)["path_token"].(string)
}
