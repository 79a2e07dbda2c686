package view

// Import is the answer to an import: its plan, and how much of it is done.
type Import struct {
	// Plan counts what is made, changed and deleted, as `+3 ~1 -0`.
	Plan    string `json:"plan"`
	Create  int    `json:"create"`
	Update  int    `json:"update"`
	Delete  int    `json:"delete"`
	Nothing int    `json:"nothing"`
	// DryRun: nothing was changed.
	DryRun bool `json:"dry_run"`
	// Tenants are those that the import is about, by name.
	Tenants []ImportedTenant `json:"tenants"`
}

// ImportedTenant is what an import changes of one tenant.
type ImportedTenant struct {
	Tenant string `json:"tenant"`
	Plan   string `json:"plan"`
	// Done: the changes are made; false with `dry_run=true`.
	Done bool `json:"done"`
	// Pending: this replica does not use all of them yet.
	Pending bool `json:"pending,omitempty"`
	// Items are the documents of the import in its order, then those that are deleted.
	Items []ImportedItem `json:"items"`
}

// ImportedItem is what an import does to one document.
type ImportedItem struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	// Change is create, update, delete or nothing.
	Change string `json:"change"`
	// Version is the document's after the change; with `dry_run=true` the one that it has now. It is absent for one that is deleted by the
	// import, or would be made.
	Version uint64 `json:"version,omitempty"`
	// Waiting counts the deliveries that waited for a deleted destination, which become dead letters.
	Waiting int `json:"waiting,omitempty"`
	// Owner is how the owner of a document changes that was there; absent if it does not.
	Owner *ChangedOwner `json:"owner,omitempty"`
	// Locked is whether a document that was there is locked from now on; absent if that does not change.
	Locked *bool `json:"locked,omitempty"`
	// Warnings are what is allowed and probably not meant.
	Warnings []SettingProblem `json:"warnings,omitempty"`
}

// ChangedOwner is a change of a document's owner; an empty one is none.
type ChangedOwner struct {
	From string `json:"from"`
	To   string `json:"to"`
}
