package config

import (
	"fmt"
	"strings"
	"time"

	"github.com/surveygate/surveygate/gateway/internal/document"
)

// The bounds of documents are narrower than those of files: a tenant writes them, whose deliveries share this process with those of
// others.
const (
	maxDocumentConcurrency = 64
	maxDocumentTimeout     = time.Minute
	maxDocumentWaits       = 24
	maxDocumentBatch       = 1000
	maxDocumentHeaders     = 32
	maxDocumentSteps       = 20
)

// storedNames begins the names of webhooks that the API makes. No file may use them, so that the two never meet.
const storedNames = "wh_"

// bounds checks the delivery settings of a document.
func (l *loader) bounds(d *destination, n *document.Node) {
	if l.base == nil {
		return
	}
	refuse := func(key, message, remedy string) {
		if at := n.Key(key); at != nil && !l.hasFault(at) {
			l.fault(at.Fault(message, remedy))
		}
	}
	if d.Concurrency > maxDocumentConcurrency {
		refuse("concurrency", fmt.Sprintf("the concurrency %d is out of range", d.Concurrency), fmt.Sprintf("write 1 to %d; to send nothing, write enabled: false", maxDocumentConcurrency))
	}
	if d.Timeout > maxDocumentTimeout {
		refuse("timeout", fmt.Sprintf("the timeout %s is out of range", d.Timeout), "write 100ms to 1m")
	}
	if len(d.Retry.Waits) > maxDocumentWaits {
		refuse("retry", fmt.Sprintf("there are %d waits; at most %d are allowed", len(d.Retry.Waits), maxDocumentWaits), "use fewer, longer waits")
	}
	if d.Batch.Max > maxDocumentBatch {
		refuse("batch", fmt.Sprintf("`max` is %d; at most %d are allowed", d.Batch.Max, maxDocumentBatch), "write a smaller number")
	}
	if headers := n.Key("headers"); headers != nil && len(headers.Pairs) > maxDocumentHeaders {
		refuse("headers", fmt.Sprintf("there are %d headers; at most %d are allowed", len(headers.Pairs), maxDocumentHeaders), "send fewer")
	}
}

// nameOfFile refuses names of destinations in files that the API makes.
func (l *loader) nameOfFile(d *destination) {
	if l.base == nil && strings.HasPrefix(d.Name, storedNames) {
		l.fault(d.key.Fault(fmt.Sprintf("`%s` begins with `%s`, as the names that the API makes", d.Name, storedNames), "give it another name"))
	}
}
