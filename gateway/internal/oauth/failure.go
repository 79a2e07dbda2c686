package oauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/surveygate/surveygate/connectors"
	"github.com/surveygate/surveygate/gateway/internal/outbound"
	"github.com/surveygate/surveygate/gateway/internal/state"
	"github.com/surveygate/surveygate/gateway/internal/vault"
)

// refused returns an error that pauses the destination. Its text holds no secret.
func refused(format string, args ...any) error {
	return &outbound.Error{Kind: outbound.Credentials, Reason: fmt.Sprintf(format, args...)}
}

// isRefusal reports whether err is about the credentials.
func isRefusal(err error) bool {
	own, ok := errors.AsType[*outbound.Error](err)
	return ok && own.Kind == outbound.Credentials
}

// storeFailure logs why a token cannot be read or stored, and returns the error of the request. It is not the destination's fault.
func (c *credential) storeFailure(err error) error {
	c.tokens.Log.Warn("cannot read or store an access token", "tenant", c.tenant, "destination", c.destination, "err", err)
	return &outbound.Error{Kind: outbound.Busy, Reason: "the store, which holds the access token, is unavailable"}
}

// sealFailure returns the error of a record that cannot be sealed.
func (c *credential) sealFailure(err error) error {
	if errors.Is(err, state.ErrUnavailable) || errors.Is(err, state.ErrClosed) {
		return c.storeFailure(err)
	}
	return refused("the access token cannot be kept sealed: %s", err)
}

// openFailure returns the error of a stored refresh token that does not open. A key that only this replica lacks, as in a rotation,
// is not the destination's fault: another replica can send.
func openFailure(err error, format string, args ...any) error {
	if errors.Is(err, vault.ErrNoKey) {
		return &outbound.Error{Kind: outbound.Busy, Reason: "this replica cannot read the refresh token: " + err.Error()}
	}
	return refused(format, args...)
}

// waiting returns the error while a token endpoint does not want to be asked.
func waiting(err error, left time.Duration) error {
	return &outbound.Error{Kind: outbound.Protocol, Reason: err.Error(), After: left}
}

// newToken says how a destination gets a new refresh token.
func newToken(tenant, destination string) string {
	command := "surveygate token set " + destination
	if tenant != "default" {
		command += " --tenant " + tenant
	}
	return "obtain a refresh token from the product and store it with `" + command + "`"
}

// failure returns why there is no token. The answer is not quoted, except for its code.
func (e *endpoint) failure(auth connectors.OAuth2, tenant, destination string) error {
	var own *outbound.Error
	switch {
	case errors.As(e.result.Err, &own):
		failed := *own
		switch failed.Kind {
		case outbound.Canceled, outbound.Busy:
			return &failed
		case outbound.Invalid: // of this configuration, not of an event
			failed.Kind = outbound.Credentials
		}
		failed.Reason = "token endpoint: " + failed.Reason
		return &failed
	case e.result.Response == nil:
		return refused("no assertion can be signed with the private key")
	}
	res := e.result.Response
	code, standard := errorCode(res.Body)
	reason := "token endpoint: " + connectors.StatusReason(res.Status)
	switch {
	case standard:
		reason = "token endpoint: " + code
	case code != "":
		reason += ": " + code
	}
	again := func() error {
		return &outbound.Error{Kind: outbound.Protocol, Reason: reason, After: connectors.RetryAfter(res)}
	}
	switch status := res.Status; {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		reason = "token endpoint: " + connectors.StatusReason(status)
		return again()
	case code == "server_error", code == "temporarily_unavailable", code == "rate_limit_exceeded":
		return again()
	case res.Fault != "":
		reason = "token endpoint: " + res.Fault
		return again()
	case status >= 200 && status <= 299 && !standard:
		reason = "token endpoint: the answer holds no access token"
		return again()
	}
	return refused("%s: %s", reason, remedy(code, auth, tenant, destination))
}

// ownCode matches codes that RFC 6749 does not define, such as Salesforce's `inactive_user`.
// https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_flow_errors.htm
var ownCode = regexp.MustCompile(`^[a-z]{2,20}(_[a-z]{2,20}){1,4}$`)

// errorCode returns the error of an answer if RFC 6749 defines it, which is then standard, or if it has the form of a code; else "".
// https://www.rfc-editor.org/rfc/rfc6749#section-5.2 https://www.rfc-editor.org/rfc/rfc6749#section-4.1.2.1
func errorCode(body []byte) (code string, standard bool) {
	var said struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(body, &said) != nil {
		return "", false
	}
	switch said.Error {
	case "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
		"access_denied", "server_error", "temporarily_unavailable":
		return said.Error, true
	}
	if !ownCode.MatchString(said.Error) {
		return "", false
	}
	return said.Error, false
}

// remedy says what a person can do about a refusal.
func remedy(code string, auth connectors.OAuth2, tenant, destination string) string {
	assertion := auth.Grant == connectors.GrantAssertion
	switch code {
	case "invalid_grant":
		switch auth.Grant {
		case connectors.GrantRefreshToken:
			return "the refresh token is no longer valid; " + newToken(tenant, destination)
		case connectors.GrantAssertion:
			return "the signed assertion is not accepted; check the key, that the application is approved for this user, and this machine's clock"
		}
		return "check the user that the application acts as"
	case "inactive_user", "inactive_org":
		return "the user or the organization that the application acts for is not active; activate it in the product"
	case "invalid_client", "invalid_client_id", "invalid_client_credentials", "access_denied":
		if assertion {
			return "the application is not accepted; check its id and the key"
		}
		return "the application is not accepted; check its id and secret"
	case "unauthorized_client", "unsupported_grant_type":
		return "the application may not obtain tokens this way; allow it in the product"
	case "invalid_scope":
		return "the application is not granted the scopes `" + strings.Join(auth.Scopes, " ") + "`"
	}
	return "the request for an access token was refused; check the credentials and the address of the token endpoint"
}
