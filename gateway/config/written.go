package config

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// written is an item of a file with the node of its settings.
type written struct {
	item *Item
	kind string
	node *document.Node
}

// write notes the settings of an item, whose Spec is set when all of them are bound. Documents have their own text.
func (l *loader) write(item *Item, kind string, node *document.Node) {
	if l.base == nil {
		l.written = append(l.written, written{item, kind, node})
	}
}

// spell sets the Spec of what the files define. What is a secret is known only when everything is bound: a connection says what is one
// in the steps of rules.
func (l *loader) spell() {
	for _, w := range l.written {
		settings := w.node.With(func(key string) bool { return key != "tenant" && (key != "name" || w.kind == kindConnection || w.kind == kindSource) })
		of := w.kind + "/" + w.item.Name
		w.item.Spec = string(settings.WithVariables(func(path string, all []string) string { return VariableName(w.item.Tenant, of, path, all) }).JSON())
	}
}

var (
	simpleName  = regexp.MustCompile(`^[a-z0-9]+$`)
	notVariable = regexp.MustCompile(`[^A-Za-z0-9]+`)
)

// VariableName returns the name of the variable that stands for a secret of an object, whose name is KIND/NAME as that of a document. It
// depends on where the secret is alone, and no two secrets of any tenant have the same: where capitals and underscores do not tell places
// apart, a digest does. paths are those of all secrets of the object.
func VariableName(tenant, object, path string, paths []string) string {
	readable := func(path string) string {
		return strings.ToUpper(notVariable.ReplaceAllString(tenant+"/"+object+"/"+path, "_"))
	}
	v := readable(path)
	same := slices.ContainsFunc(paths, func(other string) bool { return other != path && readable(other) == v })
	_, name, _ := strings.Cut(object, "/")
	if same || !simpleName.MatchString(tenant) || !simpleName.MatchString(name) {
		sum := sha256.Sum256([]byte(tenant + "\x00" + object + "\x00" + path))
		v += "_" + strings.ToUpper(hex.EncodeToString(sum[:4]))
	}
	if v[0] >= '0' && v[0] <= '9' {
		v = "T_" + v
	}
	return v
}
