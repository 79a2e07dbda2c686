package view

// Department is the answer of the compatible API: webhooks of one department, which is a tenant. A list has all of them, the oldest
// first; the answer to a change has the one that was changed.
type Department struct {
	ID       string              `json:"departmentId"`
	Webhooks []DepartmentWebhook `json:"webhooks"`
}

// DepartmentWebhook is a webhook in the compatible API.
type DepartmentWebhook struct {
	// ID is the webhook's name, Name its title.
	ID   string `json:"id"`
	Name string `json:"name"`
	// URL is masked where it is itself a credential.
	URL string `json:"url"`
	// Events have the platform's names, or those of types that it does not have.
	Events []string `json:"events"`
	// Headers have masks in place of values.
	Headers  map[string]string `json:"headers"`
	IsActive bool              `json:"isActive"`
}

// DepartmentRequest is a webhook as a client of the compatible API sends it. ID is required in an update and ignored otherwise.
type DepartmentRequest struct {
	ID       string            `json:"id,omitempty"`
	Name     string            `json:"name"`
	URL      string            `json:"url"`
	Events   []string          `json:"events"`
	Headers  map[string]string `json:"headers,omitempty" null:"true"`
	IsActive *bool             `json:"isActive,omitempty" null:"true"`
}

// TestSend is the address to which the compatible API sends a test.
type TestSend struct {
	URL string `json:"url"`
}

// TestSent is what became of a test that was sent.
type TestSent struct {
	// Sent is true: a test that could not be sent is a problem.
	Sent bool `json:"sent"`
	// Status is the receiver's; absent if it did not answer, and Problem says why.
	Status  int    `json:"status,omitempty"`
	Problem string `json:"problem,omitempty"`
}
