package oauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
	"golang.org/x/oauth2/jwt"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
)

// assertionFor is how long an assertion is valid. Salesforce accepts 3 minutes at most.
// https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_jwt_flow.htm
const assertionFor = 2 * time.Minute

// answer is what a token endpoint has issued.
type answer struct {
	access   connectors.Secret
	refresh  connectors.Secret // zero: the old one stays
	baseURL  string
	lifetime time.Duration // 0: not said
}

// exchange asks the token endpoint for an access token. golang.org/x/oauth2 writes the request and reads the answer; the request
// goes out through send like every other one. The error is an *outbound.Error.
func exchange(ctx context.Context, auth connectors.OAuth2, refresh connectors.Secret, tenant, destination string, send send) (answer, error) {
	e := &endpoint{send: send}
	client := &http.Client{
		Transport:     e,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	token, err := source(context.WithValue(ctx, oauth2.HTTPClient, client), auth, refresh).Token()
	if err != nil || token.AccessToken == "" {
		return answer{}, e.failure(auth, tenant, destination)
	}
	a := answer{access: connectors.NewSecret(token.AccessToken), refresh: connectors.NewSecret(token.RefreshToken)}
	if !strings.EqualFold(token.Type(), "bearer") {
		return answer{}, &outbound.Error{Kind: outbound.Protocol, Reason: "the token endpoint issued a token that is not a bearer token"}
	}
	if connectors.CheckSecret(a.access) != nil || !a.refresh.IsZero() && connectors.CheckSecret(a.refresh) != nil {
		return answer{}, &outbound.Error{Kind: outbound.Protocol, Reason: "the token endpoint issued a token with characters that no token has"}
	}
	a.baseURL, _ = token.Extra("instance_url").(string)
	if !token.Expiry.IsZero() {
		a.lifetime = max(token.Expiry.Sub(wall.Now()).Round(time.Second), time.Second) // x/oauth2 uses the machine's clock
	}
	return a, nil
}

// source returns the token source of a grant.
func source(ctx context.Context, auth connectors.OAuth2, refresh connectors.Secret) oauth2.TokenSource {
	style := oauth2.AuthStyleInParams
	if auth.BasicAuth {
		style = oauth2.AuthStyleInHeader
	}
	switch auth.Grant {
	case connectors.GrantRefreshToken:
		c := oauth2.Config{
			ClientID: auth.ClientID, ClientSecret: auth.ClientSecret.Expose(),
			Endpoint: oauth2.Endpoint{TokenURL: auth.TokenURL, AuthStyle: style},
		}
		return c.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh.Expose()})
	case connectors.GrantAssertion:
		c := jwt.Config{
			Email: auth.Issuer, Subject: auth.Subject, Audience: auth.Audience, Scopes: auth.Scopes, TokenURL: auth.TokenURL,
			PrivateKey: []byte(auth.PrivateKey.Expose()), PrivateKeyID: auth.KeyID, Expires: assertionFor,
		}
		return c.TokenSource(ctx)
	default:
		c := clientcredentials.Config{
			ClientID: auth.ClientID, ClientSecret: auth.ClientSecret.Expose(), Scopes: auth.Scopes, TokenURL: auth.TokenURL, AuthStyle: style,
		}
		return c.TokenSource(ctx)
	}
}

// endpoint is the http.RoundTripper of one exchange. It sends through the gateway's sender, and keeps the result.
type endpoint struct {
	send   send
	result outbound.Result // zero: nothing was sent
}

var errNoAnswer = errors.New("no whole answer")

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	_ = r.Body.Close()
	req := &connectors.Request{Method: r.Method, URL: r.URL.String(), Body: body, Header: []connectors.Field{{Name: "Accept", Value: "application/json"}}}
	for name, values := range r.Header {
		for _, value := range values {
			req.Header = append(req.Header, connectors.Field{Name: name, Value: value, Secret: name == "Authorization"})
		}
	}
	if e.result = e.send(r.Context(), req); e.result.Err != nil || e.result.Response.Fault != "" {
		return nil, errNoAnswer
	}
	res := e.result.Response
	read := withLifetime(res.Body)
	return &http.Response{
		StatusCode: res.Status, Header: res.Header, Body: io.NopCloser(bytes.NewReader(read)), Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(read)),
	}, nil
}

// withLifetime returns an answer whose expires_in is a whole number of seconds, or absent if it is none that is positive.
// golang.org/x/oauth2 refuses other forms, such as 3600.0, and with them the refresh token, which the product has replaced.
func withLifetime(body []byte) []byte {
	var answer map[string]json.RawMessage
	if json.Unmarshal(body, &answer) != nil || answer["expires_in"] == nil {
		return body
	}
	seconds, err := strconv.ParseFloat(strings.Trim(string(answer["expires_in"]), `"`), 64)
	if err == nil && seconds >= 1 {
		answer["expires_in"] = strconv.AppendInt(nil, int64(min(seconds, math.MaxInt32)), 10)
	} else {
		delete(answer, "expires_in")
	}
	changed, err := json.Marshal(answer)
	if err != nil {
		return body
	}
	return changed
}
