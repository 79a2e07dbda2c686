package openapi

import (
	"net/http"
	"strings"

	"github.com/surveygate/surveygate/gateway/internal/web/route"
)

// operationID returns a name for clients, such as listEvents, retryDelivery or createWebhookSecret: the route's own, or one that is made
// of its method and its path.
func operationID(r *route.Route) string {
	if r.ID != "" {
		return r.ID
	}
	var nouns []string // each with what follows it taken into account
	parts := strings.Split(strings.TrimPrefix(strings.TrimPrefix(r.Path, "/v1"), "/"), "/")
	for i, part := range parts {
		if strings.HasPrefix(part, ":") || part == "" {
			continue
		}
		if i+1 < len(parts) && strings.HasPrefix(parts[i+1], ":") {
			part = singular(part)
		}
		nouns = append(nouns, part)
	}
	last := nouns[len(nouns)-1]
	plural := singular(last) != last
	onOne := strings.HasPrefix(parts[len(parts)-1], ":")
	verb := ""
	switch r.Method {
	case http.MethodGet:
		verb = "get"
		if plural && !onOne {
			verb = "list"
		}
	case http.MethodPost:
		verb = "create"
		if plural {
			nouns[len(nouns)-1] = singular(last)
		} else if !onOne { // an act: retry
			verb, nouns = last, nouns[:len(nouns)-1]
		}
	default:
		verb = strings.ToLower(r.Method)
	}
	return camel(verb) + pascal(nouns)
}

func singular(noun string) string {
	switch {
	case noun == "stats", !strings.HasSuffix(noun, "s"), strings.HasSuffix(noun, "ss"), noun == "settings":
		return noun
	case strings.HasSuffix(noun, "ies"):
		return strings.TrimSuffix(noun, "ies") + "y"
	default:
		return strings.TrimSuffix(noun, "s")
	}
}

func camel(text string) string {
	out := pascal([]string{text})
	return strings.ToLower(out[:1]) + out[1:]
}

func pascal(words []string) string {
	var b strings.Builder
	for _, each := range words {
		for part := range strings.FieldsFuncSeq(each, func(r rune) bool { return r == '-' || r == '_' || r == '.' }) {
			b.WriteString(strings.ToUpper(part[:1]) + part[1:])
		}
	}
	return b.String()
}
