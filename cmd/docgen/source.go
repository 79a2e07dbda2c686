package main

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/surveygate/surveygate/connectors/declared"
)

const module = "github.com/surveygate/surveygate/"

// source reads comments of the module's packages, each package once.
type source struct {
	root     string
	packages map[string]*declared.Package
}

func (s *source) read(path string) (*declared.Package, error) {
	if p, ok := s.packages[path]; ok {
		return p, nil
	}
	p, err := declared.Read(filepath.Join(s.root, filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	if s.packages == nil {
		s.packages = map[string]*declared.Package{}
	}
	s.packages[path] = p
	return p, nil
}

// comment is what stands above a struct's field: `Text is the message` becomes `The message`, and any other
// begins with the name as users write it.
func (s *source) comment(owner reflect.Type, field, setting string) (string, error) {
	path, ours := strings.CutPrefix(owner.PkgPath(), module)
	if !ours {
		return "", fmt.Errorf("%s is not declared in this module", owner)
	}
	p, err := s.read(path)
	if err != nil {
		return "", err
	}
	text := p.Field(owner.Name(), field)
	if text == "" {
		return "", fmt.Errorf("%s.%s has no comment", owner, field)
	}
	if rest, ok := strings.CutPrefix(text, field+" is "); ok {
		return strings.ToUpper(rest[:1]) + rest[1:], nil
	}
	if rest, ok := strings.CutPrefix(text, field+" "); ok {
		return "`" + setting + "` " + rest, nil
	}
	return text, nil
}
