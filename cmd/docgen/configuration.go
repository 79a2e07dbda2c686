package main

// configuration is configs/schema.json and configs/surveygate.yaml.
func configuration(*source) ([]file, error) { return nil, nil }
