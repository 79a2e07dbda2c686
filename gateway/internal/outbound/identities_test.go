package outbound

import (
	"crypto/tls"
	"fmt"
	"testing"
)

// The identities of destinations that send nothing any more leave, and those in use stay the same.
func TestUnusedIdentitiesLeave(t *testing.T) {
	t.Parallel()
	var ids identities
	find := func(destination string) *identity {
		return ids.find(&Attempt{Tenant: "acme", Destination: destination, TLS: &ClientTLS{id: "t1"}}, &tls.Config{MinVersion: tls.VersionTLS12})
	}
	kept := find("kept")
	for i := range 100 {
		find(fmt.Sprint("removed", i))
	}
	for _, i := range ids.byDestination {
		i.used = wall.Now().Add(-2 * identityUnusedFor)
	}
	if find("kept") != kept {
		t.Error("one in use was replaced")
	}
	find("new")
	if len(ids.byDestination) != 2 || find("kept") != kept {
		t.Errorf("%d are left", len(ids.byDestination))
	}
}
