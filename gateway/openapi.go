package gateway

import (
	"reflect"

	"github.com/surveygate/surveygate/gateway/internal/web"
	"github.com/surveygate/surveygate/gateway/internal/web/openapi"
)

// Comments reads the source of the API's types: the comment of a type, that of a struct's field, and the constants of a type of
// texts. Empty: there is none.
type Comments interface {
	Type(t reflect.Type) string
	Field(owner reflect.Type, field string) string
	Words(t reflect.Type) []string
}

// OpenAPI derives the description of the API, an OpenAPI 3.1 document. configuration is the schema of configuration files, page
// the text of the API's page, whose requests become examples.
func OpenAPI(comments Comments, configuration, page []byte) ([]byte, error) {
	document, err := openapi.Derive(openapi.Options{Routes: web.Routes(), Comments: comments, Configuration: configuration, Page: page})
	if err != nil {
		return nil, err
	}
	return document.Indented()
}
