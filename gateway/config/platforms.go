package config

import "github.com/surveygate/surveygate/gateway/internal/source"

// Platform is a survey platform that surveygate knows, as people are told of it.
type Platform = source.Platform

// Platforms are those whose profiles ship, in the order of their names.
func Platforms() []Platform {
	library := source.Builtin()
	all := make([]Platform, 0, len(library.Names()))
	for _, name := range library.Names() {
		if p, ok := library.Profile(name); ok {
			all = append(all, p.Platform())
		}
	}
	return all
}
