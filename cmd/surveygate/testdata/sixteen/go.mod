module example.com/sixteen

go 1.26.0

require github.com/surveygate/surveygate v0.0.0

replace github.com/surveygate/surveygate => ../../../..
