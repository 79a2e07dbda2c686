package config

import (
	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/document"
)

// Document is one object of a tenant that the store keeps: a webhook, connection, source or rule, in the language of the files.
type Document struct {
	// Name is KIND/NAME, such as webhook/crm; KIND is webhook, connection, source or rule.
	Name string
	// Spec is what a file would hold for this object, as JSON or YAML: the settings without the name.
	Spec []byte
	// Variables: Spec may have ${NAME}, without a value, because the document is only tried. Otherwise that is a fault.
	Variables bool
	// Secrets are values that Spec leaves out, by their path, such as headers.X-Api-Key.
	Secrets map[string]connectors.Secret
	// Faults are those found before compiling, such as a sealed value that no key opens. A document with faults is Broken.
	Faults document.Faults
	// Version is that of its setting.
	Version uint64
}

// TenantConfig is what a tenant's documents add to the base, the configuration of the files. It is immutable.
type TenantConfig struct {
	Tenant string
	// Generation is the hash of Kept; empty if nothing compiled.
	Generation string
	// Kept is the form that is stored for later explanations; see LoadKeptOver.
	Kept []byte

	Sources      []*Source
	Destinations []*Destination
	Rules        []*Rule
	// Builds are the connectors that steps of the base's rules of every tenant have for destinations of this tenant's documents.
	Builds map[*Step]connectors.Connector
	// Documents are all documents by name, whatever their state.
	Documents []CompiledDocument
}

// CompiledDocument is a document with what became of it. It keeps neither Spec nor Secrets: the store has them.
type CompiledDocument struct {
	Document
	State DocumentState
	// Sum is a hash of what is written, whatever the order of keys; see Item.Sum. It is 0 for a document that could not be read.
	Sum uint64
	// Clear are the paths of the values in Spec that are, or may be, secrets: Spec should hold none.
	Clear []string
	// File is where the file's object is that shadows it.
	File document.Position
	// Faults are why it is broken or shadowed, with a remedy each; Warnings are those that `check` prints for a file.
	Faults, Warnings document.Faults
}

// DocumentState is what became of a document.
type DocumentState string

// The states of documents.
const (
	Active   DocumentState = "active"
	Disabled DocumentState = "disabled" // enabled: false
	// Broken documents do not compile over the present base. The tenant's others are not affected.
	Broken DocumentState = "broken"
	// Shadowed documents have a name that a file has too: the file's object is the one in use.
	Shadowed DocumentState = "shadowed"
)
