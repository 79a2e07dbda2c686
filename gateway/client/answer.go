package client

import "encoding/json"

// Answer is what a source's URL answers for one event.
type Answer struct {
	ID     string `json:"id"`
	Status string `json:"status"`
}

// ParseAnswer reads it.
func ParseAnswer(text []byte) (Answer, error) {
	var a Answer
	err := json.Unmarshal(text, &a)
	return a, err
}
