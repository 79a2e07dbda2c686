package config

import "github.com/surveygate/surveygate/gateway/internal/source"

// Platform describes a survey platform that has a built-in profile.
type Platform = source.Platform

// Platforms returns the platforms with built-in profiles, sorted by name.
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
