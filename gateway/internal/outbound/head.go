package outbound

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/valyala/fasthttp"

	"github.com/surveygate/surveygate/connectors"
)

// The status line of an answer counts, whatever is wrong with the rest of it: the receiver has the event, and would else get
// it again at every attempt. The fault is recorded, and the connection carries no other request, because it is unknown
// where the next answer begins.

// Faults of answers that have a status.
const (
	faultFraming = "the answer is not valid HTTP behind its status line"
	faultRepeats = "the answer repeats Content-Length"
	faultDiffers = "the answer has several Content-Length that differ"
	faultLength  = "the answer's Content-Length is not a number"
	faultBoth    = "the answer has both Content-Length and Transfer-Encoding"
)

// maxInterim bounds the 1xx answers before the final one. A receiver that works for long may send one every second and
// still answer; the timeout ends most of the others.
const maxInterim = 100

// silentError means that the connection ended before the first byte of an answer.
type silentError struct{ error }

func (e *silentError) Unwrap() error { return e.error }

// readHead reads to the end of the head of the final answer and leaves it in the reader. On error it returns the part
// that arrived; a *silentError means that none did.
func readHead(br *bufio.Reader) ([]byte, error) {
	for i := range maxInterim + 1 {
		head, err := nextHead(br)
		if len(head) == 0 && i == 0 {
			return nil, &silentError{err}
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF // not before the first byte
			}
			return head, err
		}
		switch status, _ := cutStatus(head); {
		case status == http.StatusSwitchingProtocols:
			return head, errProtocol("the peer switched to another protocol")
		case status < 100 || status > 199:
			return head, nil
		}
		_, _ = br.Discard(len(head))
	}
	return nil, errProtocol("the peer keeps answering with 1xx")
}

// nextHead reads to the end of one head, an empty line. Empty lines before it are not part of it.
func nextHead(br *bufio.Reader) ([]byte, error) {
	for from := 0; ; {
		b, _ := br.Peek(br.Buffered())
		if from == 0 {
			if blank := len(b) - len(bytes.TrimLeft(b, "\r\n")); blank > 0 {
				_, _ = br.Discard(blank)
				continue
			}
		}
		if end := headEnd(b[from:]); end > 0 {
			return b[:from+end], nil
		}
		if len(b) == br.Size() {
			return b, errProtocol(headerTooLarge)
		}
		from = max(0, len(b)-len("\n\r"))
		if _, err := br.Peek(len(b) + 1); err != nil {
			return b, err
		}
	}
}

// headEnd returns where the first empty line of a head ends; 0 where there is none.
func headEnd(b []byte) int {
	for at := 0; ; {
		n := bytes.IndexByte(b[at:], '\n')
		if n < 0 {
			return 0
		}
		at += n + 1
		switch rest := b[at:]; {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2
		}
	}
}

// headReader gives the parser one head and then io.EOF, so that it never waits for bytes behind the head.
type headReader struct {
	bytes bytes.Reader
	buf   *bufio.Reader
}

var headReaders = sync.Pool{New: func() any { return &headReader{buf: bufio.NewReaderSize(nil, HeaderCap)} }}

// parseHead reads a head that is complete. On error nothing is taken from the reader.
func parseHead(br *bufio.Reader, resp *fasthttp.Response, head []byte, got *answer) error {
	r := headReaders.Get().(*headReader)
	defer headReaders.Put(r)
	r.bytes.Reset(head)
	r.buf.Reset(&r.bytes)
	resp.Header.SetNoDefaultContentType(true)
	err := resp.Header.Read(r.buf)
	rest := r.buf.Buffered() + r.bytes.Len()
	r.bytes.Reset(nil)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || err == nil && rest > 0:
		return errProtocol(faultFraming) // the parser disagrees about where the head ends
	case err != nil:
		return err
	}
	got.response.Status = resp.StatusCode()
	got.response.Header = copyHeader(&resp.Header)
	if resp.Header.ContentLength() == -1 {
		// Chunks take precedence (RFC 9112, section 6.3), but an intermediary may have used the length.
		if lengths, _ := framingOf(head); len(lengths) > 0 {
			got.response.Fault = faultBoth
		}
	}
	_, _ = br.Discard(len(head))
	return nil
}

// salvage takes the status and the well-formed headers from a head that is faulty or incomplete, if its status line
// is complete and that of a final answer. It returns the body's length if the head is complete and unambiguous, else -1.
func salvage(head []byte, got *answer) (length int) {
	head = bytes.TrimLeft(head, "\r\n")
	status, rest := cutStatus(head)
	if !isFinal(status) {
		return -1
	}
	got.response.Status, got.response.Header = status, http.Header{}
	for line := range bytes.Lines(rest) {
		if line[len(line)-1] != '\n' {
			break // it may go on
		}
		name, value, ok := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte(":"))
		f := connectors.Field{Name: string(name), Value: string(bytes.TrimSpace(value))}
		if ok && isToken(f.Name) && !strings.ContainsFunc(f.Value, isControl) {
			got.response.Header.Add(f.Name, f.Value)
		}
	}
	if headEnd(head) == 0 {
		return -1
	}
	lengths, coded := framingOf(head)
	switch n, fault := agreed(lengths); {
	case len(lengths) == 0:
		return -1
	case coded:
		got.response.Fault = faultBoth
		return -1
	default:
		got.response.Fault = fault
		return n
	}
}

// framingOf returns a head's values of Content-Length, and whether it has a Transfer-Encoding.
func framingOf(head []byte) (lengths []string, coded bool) {
	for line := range bytes.Lines(head) {
		name, value, _ := bytes.Cut(line, []byte(":"))
		name = bytes.TrimSpace(name)
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			for each := range bytes.SplitSeq(value, []byte(",")) {
				lengths = append(lengths, string(bytes.TrimSpace(each)))
			}
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			coded = true
		}
	}
	return lengths, coded
}

// agreed returns the length if all values are equal, else -1, and the fault of the values.
func agreed(lengths []string) (n int, fault string) {
	for i, text := range lengths {
		each, ok := digits(text)
		switch {
		case !ok:
			return -1, faultLength
		case i > 0 && each != n:
			return -1, faultDiffers
		case i > 0:
			fault = faultRepeats
		}
		n = each
	}
	return n, fault
}

// digits parses a number of decimal digits only.
func digits(text string) (n int, ok bool) {
	if text == "" || len(text) > 15 {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}

// cutStatus returns the status of a head and what follows its status line; 0 if the line is incomplete or not HTTP.
func cutStatus(head []byte) (status int, rest []byte) {
	line, rest, ok := bytes.Cut(head, []byte("\n"))
	if !ok || len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return 0, nil
	}
	text := bytes.TrimLeft(line[len("HTTP/1.1"):], " ")
	if len(text) < 3 || len(text) > 3 && text[3] != ' ' && text[3] != '\r' {
		return 0, nil
	}
	n, ok := digits(string(text[:3]))
	if !ok {
		return 0, nil
	}
	return n, rest
}

// isFinal reports whether a status is that of a final answer.
func isFinal(status int) bool { return status >= 200 && status <= 999 }

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }
