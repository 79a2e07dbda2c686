package run

import (
	"fmt"
	"runtime/debug"

	"github.com/surveygate/surveygate/gateway/internal/web"
)

// descriptors is how many file descriptors each part of the process may use, so that none of them takes what another
// needs: a store that cannot open a file is broken, and a port that accepts nothing is deaf.
type descriptors struct {
	limit    int // what the process may open
	store    int // files of the embedded store, or connections to Redis
	outgoing int // connections to destinations
	incoming int // connections to the port
	control  int // connections to the control socket
}

const (
	// leastDescriptors is what a gateway needs to work at all.
	leastDescriptors = 128
	// mostDescriptors is more than any part makes use of.
	mostDescriptors = 1 << 20
	// baseDescriptors are for everything else: the standard streams, listeners, logs, files of the configuration, streams.
	baseDescriptors = 32
	// leastStoreFiles is what Pebble opens whatever it is told, mostStoreFiles what it makes use of.
	leastStoreFiles = 74
	mostStoreFiles  = 512
	mostOutgoing    = 4096
	// fewConnections is from where on operators are warned that there is room for few.
	fewConnections = 1000
)

// share divides what the process may open.
func share(limit int) (descriptors, error) {
	d := descriptors{limit: limit, store: min(max(limit/4, leastStoreFiles), mostStoreFiles)}
	if limit < leastDescriptors {
		return d, fmt.Errorf("this process may open %d files and connections at once; it needs %d at least, and 65,536 serve many clients: raise the limit (`ulimit -n`, LimitNOFILE of systemd, --ulimit nofile of Docker)", limit, leastDescriptors)
	}
	rest := limit - baseDescriptors - d.store
	d.control = min(max(rest/16, 4), 64)
	rest -= d.control
	d.outgoing = min(max(2*rest/5, 8), mostOutgoing)
	d.incoming = min(rest-d.outgoing, web.MaxConnections)
	return d, nil
}

// Problems warn of a limit that leaves room for few connections.
func (d descriptors) Problems() []string {
	if d.incoming >= fewConnections {
		return nil
	}
	return []string{fmt.Sprintf("there is room for %d connections to the port and %d to destinations, because the process may have %d file descriptors: raise the limit (`ulimit -n`, LimitNOFILE of systemd, --ulimit nofile of Docker)", d.incoming, d.outgoing, d.limit)}
}

// maxBodies is how many bytes of request bodies may be held at once: less where the process is to have little memory.
func maxBodies() int64 {
	return max(min(debug.SetMemoryLimit(-1)/8, web.MaxBodies), leastBodies)
}

// leastBodies has room for one body of the largest kind, and its smaller copy.
const leastBodies = 16 << 20
