package client

import "encoding/json"

// Answer is the answer of a source's URL to one event.
type Answer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// ParseAnswer decodes the JSON of an Answer.
func ParseAnswer(text []byte) (Answer, error) {
	var a Answer
	err := json.Unmarshal(text, &a)
	return a, err
}
