package view

// Questions are the questions of a survey, as its newest events have them.
type Questions struct {
	Source string `json:"source"`
	Survey string `json:"survey"`
	// Events is how many events were looked at: the newest of the survey, at most 50.
	Events int `json:"events"`
	// SearchedBackTo is how far back they were searched for within the budget of a list; absent where the search reached its end.
	SearchedBackTo Time `json:"searched_back_to,omitzero"`
	// Data are the questions in the order in which responses have them, at most 200; More: there are others.
	Data []Question `json:"data"`
	More bool       `json:"more,omitempty"`
	// Unread counts those that no role of the source reads.
	Unread int `json:"unread"`
}

// Question is a question that was answered.
type Question struct {
	// ID is the platform's; Question its text, and Type its type, where the platform sends them.
	ID       string `json:"id"`
	Question string `json:"question,omitempty"`
	Type     string `json:"type,omitempty"`
	// Answers counts its answers in the events that were looked at.
	Answers int `json:"answers"`
	// Roles are the fields that roles in the source's settings fill with it. The platform's profile may read it besides, and rules may
	// use it by `answer("ID")`.
	Roles []string `json:"roles"`
	// Missing is the setting of the source that would read it into FIELD, as YAML; absent where a role reads it.
	Missing string `json:"missing,omitempty"`
}
