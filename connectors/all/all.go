// Package all registers every connector that is built in: one line per product.
package all

import (
	_ "github.com/surveygate/surveygate/connectors/ga4"
	_ "github.com/surveygate/surveygate/connectors/hubspot"
	_ "github.com/surveygate/surveygate/connectors/mailchimp"
	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/webhook"
)
