// Package gateway runs a survey event gateway inside a program: cmd/surveygate does so, and a company's own main can.
//
// Beside it: config reads the YAML, client calls the API of a running gateway, offline looks at a configuration
// with nothing running, receiver takes webhooks as a customer's server would, and signature signs and verifies them.
package gateway
