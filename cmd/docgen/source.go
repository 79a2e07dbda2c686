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

// comment is what stands above a struct's field, as pages show it.
func (s *source) comment(owner reflect.Type, field string) (string, error) {
	path, ours := strings.CutPrefix(owner.PkgPath(), module)
	if !ours {
		return "", fmt.Errorf("%s is not declared in this module", owner)
	}
	return s.describe(path, owner.Name(), field)
}

func (s *source) describe(path, typeName, field string) (string, error) {
	p, err := s.read(path)
	if err != nil {
		return "", err
	}
	text := p.Describe(typeName, field)
	if text == "" {
		return "", fmt.Errorf("%s: %s.%s has no comment", path, typeName, field)
	}
	return text, nil
}
