package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

// phase is the stage that a request reached.
type phase uint8

const (
	phaseWait phase = iota
	phaseConnect
	phaseTLS
	phaseExchange
)

// phaseError is a failure with the phase in which it occurred.
type phaseError struct {
	phase phase
	err   error
}

func (e *phaseError) Error() string { return e.err.Error() }
func (e *phaseError) Unwrap() error { return e.err }

// errProtocol is a fault of the peer in the gateway's own words.
type errProtocol string

func (e errProtocol) Error() string { return string(e) }

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.Is(err, fasthttp.ErrTimeout) || errors.As(err, &t) && t.Timeout()
}

// explain turns any failure into a Kind and the gateway's own words: messages of libraries repeat URLs, headers and bytes
// of the peer.
func explain(ctx context.Context, err error, deadline time.Time, timeout time.Duration) error {
	if own, ok := errors.AsType[*Error](err); ok {
		return own
	}
	if refused, ok := errors.AsType[*guardError](err); ok {
		return &Error{Kind: Refused, Reason: refused.Error()}
	}
	at := phaseExchange
	if p, ok := errors.AsType[*phaseError](err); ok {
		at = p.phase
	}
	if cause := ctx.Err(); errors.Is(cause, context.Canceled) {
		return &Error{Kind: Canceled, Reason: "the gateway gave the attempt up"}
	}
	if errors.Is(err, errBusy) || errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) {
		return &Error{Kind: Busy, Reason: "the gateway has no connection free: the process may have too few file descriptors"}
	}
	over := isTimeout(err) || errors.Is(err, context.DeadlineExceeded)
	if over && !wall.Now().Before(deadline.Add(-time.Millisecond)) {
		return &Error{Kind: Timeout, Reason: timeoutReason(at, timeout)}
	}
	switch at {
	case phaseWait:
		return &Error{Kind: Timeout, Reason: timeoutReason(at, timeout)}
	case phaseConnect:
		return &Error{Kind: Connect, Reason: connectReason(err, over)}
	case phaseTLS:
		if reason := certificateReason(err, false); reason != "" {
			return &Error{Kind: TLS, Reason: reason}
		}
		return &Error{Kind: TLS, Reason: tlsReason(err, over)}
	}
	closed := errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if reason := certificateReason(err, closed); reason != "" {
		return &Error{Kind: TLS, Reason: reason}
	}
	if alert := alertOf(err); alert != "" {
		return &Error{Kind: TLS, Reason: "the peer ended the secure connection: " + alert}
	}
	return exchangeFailure(err, over, timeout)
}

func timeoutReason(at phase, timeout time.Duration) string {
	if timeout > 10*time.Millisecond { // the time left of an attempt is not a round number
		timeout = timeout.Round(10 * time.Millisecond)
	}
	switch at {
	case phaseWait:
		return fmt.Sprintf("no free connection within %s", timeout)
	case phaseConnect:
		return fmt.Sprintf("no connection within %s", timeout)
	case phaseTLS:
		return fmt.Sprintf("no secure connection within %s", timeout)
	}
	return fmt.Sprintf("no complete answer within %s", timeout)
}

func connectReason(err error, over bool) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "the host's name is not known"
	case errors.As(err, &dns):
		return "the host's name could not be looked up"
	case over:
		return fmt.Sprintf("no connection within %s", ConnectTimeout)
	}
	if reason := systemReason(err); reason != "" {
		return reason
	}
	return "no connection"
}

// systemReason names the system's errors of connections; "" for any other.
func systemReason(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection was refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "the host is unreachable"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "the gateway has no free port left"
	}
	return ""
}

func tlsReason(err error, over bool) string {
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		bad     x509.CertificateInvalidError
		record  tls.RecordHeaderError
	)
	switch {
	case over:
		return fmt.Sprintf("no secure connection within %s", ConnectTimeout)
	case errors.As(err, &name):
		return "the certificate is for another name"
	case errors.As(err, &unknown):
		return "the certificate is signed by an unknown authority: name it in `outbound.ca` or the destination's `tls: {ca}`"
	case errors.As(err, &bad) && bad.Reason == x509.Expired:
		return "the certificate has expired or is not yet valid"
	case errors.As(err, &bad):
		return "the certificate is not valid"
	case errors.As(err, &record):
		return "the peer does not speak TLS"
	case alertOf(err) != "":
		return "the peer refused the secure connection: " + alertOf(err)
	}
	return "no secure connection could be made"
}

func exchangeFailure(err error, over bool, timeout time.Duration) *Error {
	var own errProtocol
	var small *fasthttp.ErrSmallBuffer
	switch {
	case errors.As(err, &own):
		return &Error{Kind: Protocol, Reason: own.Error()}
	case over:
		return &Error{Kind: Timeout, Reason: timeoutReason(phaseExchange, timeout)}
	case errors.As(err, &small), strings.Contains(err.Error(), "response headers exceeded"): // net/http exports no error for it
		return &Error{Kind: Protocol, Reason: headerTooLarge}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{Kind: Protocol, Reason: brokenOff}
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed), errors.Is(err, errStale):
		return &Error{Kind: Protocol, Reason: closedEarly}
	}
	if reason := systemReason(err); reason != "" {
		return &Error{Kind: Protocol, Reason: reason}
	}
	return &Error{Kind: Protocol, Reason: notHTTP}
}

const notHTTP = "the answer is not HTTP"

// faultOf rewords the reason of a failure that occurred behind the status line.
func faultOf(reason string) string {
	switch reason {
	case notHTTP:
		return faultFraming
	case closedEarly:
		return brokenOff
	}
	return reason
}

const (
	brokenOff   = "the answer broke off"
	closedEarly = "the connection was closed without an answer"
)

var headerTooLarge = fmt.Sprintf("the answer's header is larger than %d KiB", HeaderCap>>10)
