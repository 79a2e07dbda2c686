package document

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
)

// The compose file is YAML that says what it should: a Redis that keeps what it has, and a gateway that can write
// nowhere but where it says.
func TestCompose(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	node, faults := Parse("compose.yaml", text)
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	type service struct {
		Image       string
		Build       string
		Command     []string
		Environment []string
		Volumes     []string
		Tmpfs       []string
		Ports       []string
		ReadOnly    bool           `json:"read_only"`
		DependsOn   map[string]any `json:"depends_on"`
		Healthcheck struct{ Test []string }
	}
	var file struct {
		Services map[string]service
		Volumes  map[string]any
	}
	if err := json.Unmarshal(node.JSON(), &file); err != nil {
		t.Fatalf("%v\n%s", err, node.JSON())
	}
	redis, gateway := file.Services["redis"], file.Services["gateway"]
	if len(file.Services) != 2 || len(redis.Healthcheck.Test) == 0 || gateway.DependsOn["redis"] == nil || gateway.Build != "." {
		t.Fatalf("services %+v", file.Services)
	}
	for _, s := range file.Services {
		for _, v := range s.Volumes {
			name, _, _ := strings.Cut(v, ":")
			if _, named := file.Volumes[name]; !named && !strings.HasPrefix(name, "./") {
				t.Errorf("the volume %s is not defined", name)
			}
		}
	}
	options := strings.Join(redis.Command, " ")
	for _, want := range []string{"--appendonly yes", "--appendfsync everysec", "--maxmemory 1gb", "--maxmemory-policy noeviction"} {
		if !strings.Contains(options, want) {
			t.Errorf("Redis runs without %s", want)
		}
	}
	if !slices.Contains(gateway.Command, "--redis") || !gateway.ReadOnly || len(gateway.Tmpfs) != 1 || len(gateway.Environment) == 0 {
		t.Errorf("gateway %+v", gateway)
	}
	for _, p := range gateway.Ports {
		if !strings.HasPrefix(p, "127.0.0.1:") {
			t.Errorf("port %s is open to everybody", p)
		}
	}
}
