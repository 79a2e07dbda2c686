package config_test

import (
	"strings"
	"testing"

	"github.com/surveygate/surveygate/gateway/config"
)

// Where Redis is: the flag before the environment before the files. Whatever is said, no kept text holds the password.
func TestRedis(t *testing.T) {
	t.Parallel()
	with := func(name string) (string, bool) {
		switch name {
		case "SURVEYGATE_REDIS":
			return "redis://:env-password@env", true
		case "REDIS_URL":
			return "redis://:var-password@var", true
		}
		return lookup(name)
	}
	without := func(name string) (string, bool) {
		if name == "SURVEYGATE_REDIS" {
			return "", false
		}
		return with(name)
	}
	for _, tt := range []struct {
		o           config.Options
		text        string
		url, prefix string
	}{
		{config.Options{Env: without}, "", "", ""},
		{config.Options{Env: without}, "redis: redis://:file-password@file\n", "redis://:file-password@file", "surveygate"},
		{config.Options{Env: without}, "redis: \"${REDIS_URL}\"\n", "redis://:var-password@var", "surveygate"},
		{config.Options{Env: without}, "redis: {url: \"${REDIS_URL}\", prefix: staging}\n", "redis://:var-password@var", "staging"},
		{config.Options{Env: with}, "redis: {url: \"${REDIS_URL}\", prefix: staging}\n", "redis://:env-password@env", "staging"},
		{config.Options{Env: with}, "", "redis://:env-password@env", "surveygate"},
		{config.Options{Env: with, Redis: "redis://:flag-password@flag"}, "", "redis://:flag-password@flag", "surveygate"},
	} {
		c := load(t, tt.o, tt.text)
		if c.Redis.URL.Expose() != tt.url || c.Redis.Prefix != tt.prefix {
			t.Errorf("%q: %s under %q, want %s under %q", tt.text, c.Redis.URL.Expose(), c.Redis.Prefix, tt.url, tt.prefix)
		}
		if strings.Contains(string(c.Kept), "-password") {
			t.Errorf("what is kept holds the password: %s", c.Kept)
		}
	}
}
