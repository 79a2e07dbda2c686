// Package all registers all built-in connectors. It imports each product's package, one per line.
package all

import (
	_ "github.com/surveygate/surveygate/connectors/airtable"
	_ "github.com/surveygate/surveygate/connectors/amplitude"
	_ "github.com/surveygate/surveygate/connectors/bigquery"
	_ "github.com/surveygate/surveygate/connectors/constantcontact"
	_ "github.com/surveygate/surveygate/connectors/discord"
	_ "github.com/surveygate/surveygate/connectors/ga4"
	_ "github.com/surveygate/surveygate/connectors/hubspot"
	_ "github.com/surveygate/surveygate/connectors/klaviyo"
	_ "github.com/surveygate/surveygate/connectors/mailchimp"
	_ "github.com/surveygate/surveygate/connectors/mixpanel"
	_ "github.com/surveygate/surveygate/connectors/pipedrive"
	_ "github.com/surveygate/surveygate/connectors/salesforce"
	_ "github.com/surveygate/surveygate/connectors/sendgrid"
	_ "github.com/surveygate/surveygate/connectors/slack"
	_ "github.com/surveygate/surveygate/connectors/teams"
	_ "github.com/surveygate/surveygate/connectors/webhook"
)
