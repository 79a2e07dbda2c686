package gateway

import "runtime/debug"

// version is set by the linker in releases: -X github.com/surveygate/surveygate/gateway.version=1.2.3
var version string

// Version is the program's: a release's number, the module's, or devel.
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
