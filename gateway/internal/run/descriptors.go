package run

import (
	"fmt"
	"runtime/debug"

	"github.com/surveygate/surveygate/gateway/internal/web"
)

// descriptors is how many file descriptors each part of the process may use, so that no part takes what another needs: a
// store that cannot open a file breaks, and a port without descriptors accepts no connection.
type descriptors struct {
	limit    int // of the process
	store    int // files of the embedded store, or connections to Redis
	outgoing int // connections to destinations
	incoming int // connections to the port
	control  int // connections to the control socket
	console  int // connections to the console's own address; 0 if it has none
}

const (
	// leastDescriptors is the smallest limit that a gateway can work with.
	leastDescriptors = 128
	// mostDescriptors is more than all parts together use.
	mostDescriptors = 1 << 20
	// baseDescriptors are for everything else: the standard streams, listeners, logs, files of the configuration, streams.
	baseDescriptors = 32
	// leastStoreFiles is what Pebble opens whatever its settings are, mostStoreFiles the most that it uses.
	leastStoreFiles = 74
	mostStoreFiles  = 512
	mostOutgoing    = 4096
	mostConsole     = 512
	// fewConnections is the number of connections below which operators are warned.
	fewConnections = 1000
)

// share divides the limit of the process among its parts. console: the console has an address of its own.
func share(limit int, console bool) (descriptors, error) {
	d := descriptors{limit: limit, store: min(max(limit/4, leastStoreFiles), mostStoreFiles)}
	if limit < leastDescriptors {
		return d, fmt.Errorf("this process may open %d files and connections at once; it needs %d at least, and 65,536 serve many clients: raise the limit (`ulimit -n`, LimitNOFILE of systemd, --ulimit nofile of Docker)", limit, leastDescriptors)
	}
	rest := limit - baseDescriptors - d.store
	d.control = min(max(rest/16, 4), 64)
	rest -= d.control
	d.outgoing = min(max(2*rest/5, 8), mostOutgoing)
	rest -= d.outgoing
	if console { // its pages use a few connections for each visitor
		d.console = min(max(rest/8, 4), mostConsole)
		rest -= d.console
	}
	d.incoming = min(rest, web.MaxConnections)
	return d, nil
}

// Problems warns of a limit that leaves few connections.
func (d descriptors) Problems() []string {
	if d.incoming >= fewConnections {
		return nil
	}
	return []string{fmt.Sprintf("at most %d connections to the port and %d to destinations are possible, because the process may have %d file descriptors: raise the limit (`ulimit -n`, LimitNOFILE of systemd, --ulimit nofile of Docker)", d.incoming, d.outgoing, d.limit)}
}

// maxBodies bounds the bytes of request bodies in memory: an eighth of GOMEMLIMIT, within the bounds.
func maxBodies() int64 {
	return max(min(debug.SetMemoryLimit(-1)/8, web.MaxBodies), leastBodies)
}

// leastBodies fits one body of the largest permitted size, and its smaller copy.
const leastBodies = 16 << 20
