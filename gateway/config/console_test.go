package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
)

func TestConsole(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]config.Console{
		"":                                  {},
		"console: on":                       {},
		"console: off":                      {Off: true},
		"console: {listen: 127.0.0.1:8081}": {Listen: "127.0.0.1:8081"},
		"console: {listen: '${CONSOLE}'}":   {Listen: "10.0.0.1:81"},
		"console: ${WHERE}":                 {Off: true},
		"console: {listen: ':81', public_url: 'https://console.example.com/a/'}": {Listen: ":81", PublicURL: "https://console.example.com/a"},
		"listen: :0\nconsole: {listen: ':0'}":                                    {Listen: ":0"},
		"listen: :80\nconsole: {listen: ':8'}":                                   {Listen: ":8"},
	} {
		o := config.Options{Env: func(name string) (string, bool) {
			value, ok := map[string]string{"CONSOLE": "10.0.0.1:81", "WHERE": "off"}[name]
			return value, ok
		}}
		if got := load(t, o, text).Console; got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

// An address that the gateway's requests come to is a fault of the console, wherever the gateway's is from.
func TestConsoleAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		gateway, console string
		fault            bool
	}{
		{"127.0.0.1:80", "127.0.0.1:80", true},
		{"127.0.0.1:80", "127.0.0.1:81", false},
		{"127.0.0.1:80", "127.0.0.2:80", false},
		{"127.0.0.1:80", "localhost:80", true},
		{"127.0.0.1:80", "[::1]:80", false},
		{"127.0.0.1:80", "[::ffff:127.0.0.1]:80", true},
		{":80", "127.0.0.1:80", true},
		{"127.0.0.1:80", ":80", true},
		{"0.0.0.0:80", "127.0.0.1:80", true},
		{"0.0.0.0:80", "gate.internal:80", true},
		{"0.0.0.0:80", "[::1]:80", false},
		{"[::]:80", "127.0.0.1:80", true},
		{"gate.internal:80", "GATE.internal:80", true},
		{"gate.internal:80", "console.internal:80", false},
		{"127.0.0.1:0", "127.0.0.1:0", false},
	} {
		path := filepath.Join(write(t, map[string]string{"surveygate.yaml": "console: {listen: '" + c.console + "'}"}), "surveygate.yaml")
		_, err := config.Load(config.Options{Path: path, Listen: c.gateway, Env: lookup})
		if fault := err != nil && strings.Contains(err.Error(), "cannot have"); fault != c.fault || !fault && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
