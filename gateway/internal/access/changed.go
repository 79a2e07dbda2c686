package access

import "sync"

// broadcast tells all who wait that something changed. The zero value is ready; it is safe for concurrent use.
type broadcast struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next change; nil: nobody waits
}

// changed returns a channel that is closed at the next change.
func (b *broadcast) changed() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *broadcast) tell() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// Changed returns a channel that is closed when the known tokens change next: by this process, by another one or by a reload. Ask for it
// before looking at a token, so that no change is missed. It does not tell that a token expires.
func (a *Access) Changed() <-chan struct{} {
	if a.Stored == nil {
		return nil
	}
	return a.Stored.all.told.changed()
}
