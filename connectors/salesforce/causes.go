package salesforce

import "github.com/surveygate/surveygate/connectors"

// Codes that the verdict needs beyond its kind.
const (
	missingField   = "REQUIRED_FIELD_MISSING"
	duplicateValue = "DUPLICATE_VALUE"
	notFound       = "NOT_FOUND"
	invalidAddress = "INVALID_EMAIL_ADDRESS"
	locked         = "UNABLE_TO_LOCK_ROW"
	// blocked is the code of a failed trigger or flow. Its message names the cause, which may pass.
	blocked = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
	// refusedRecord is the reason for a record that was refused with an unknown code.
	refusedRecord = "refused by Salesforce"
)

// Hints that several codes share.
const (
	checkApp   = "Salesforce does not accept the access token: check the app's client credentials or certificate, and that its run-as user is active."
	checkValue = "Salesforce refuses a value: correct `fields`, or the field in Salesforce."
	noAccess   = "The app's user may not create or change the record: give them a permission set, or access to the records of other owners."
	busy       = "Salesforce is busy with the same records."
)

// causes are Salesforce's codes, the more specific ones first. The kind of a code is its verdict.
// https://developer.salesforce.com/docs/atlas.en-us.api.meta/api/sforce_api_calls_concepts_core_data_objects.htm
var causes = []connectors.Cause{
	{Code: locked, Kind: connectors.Retry, Fix: connectors.FixWait, Hint: busy},
	{Code: "Too many SOQL queries", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The org's own triggers did too much at once."},
	{Code: "REQUEST_LIMIT_EXCEEDED", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "The org has used up its API requests of 24 hours, or has too many long requests at once."},
	{Code: "REQUEST_RUNNING_TOO_LONG", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: busy},
	{Code: "SERVER_UNAVAILABLE", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Salesforce is unavailable."},
	{Code: "UNKNOWN_EXCEPTION", Kind: connectors.Retry, Fix: connectors.FixWait, Hint: "Salesforce failed to process the request."},

	{Code: "INVALID_SESSION_ID", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkApp},
	{Code: "INVALID_AUTH_HEADER", Kind: connectors.Revoked, Fix: connectors.FixCredentials, Hint: checkApp},
	{Code: "API_DISABLED_FOR_ORG", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The org's edition or the user's profile has no API: enable it in Salesforce (permission `API Enabled`)."},
	{Code: "API_CURRENTLY_DISABLED", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The org's API is disabled: enable it in Salesforce."},
	{Code: "INVALID_TYPE", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The app's user may not see the object: give them a permission set that reads, creates and edits it."},
	{Code: "STORAGE_LIMIT_EXCEEDED", Kind: connectors.Revoked, Fix: connectors.FixProduct, Hint: "The org's data storage is full: delete records, or buy more."},
	{Code: notFound, Fix: connectors.FixProduct, Hint: "Salesforce finds no field of that name, or its user may not see it: create the External ID field, and give the app's user access to it."},

	{Code: missingField, Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "The org requires this field of a new record: write it in `fields`, or make it optional in Salesforce."},
	{Code: "INVALID_FIELD", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Salesforce has no field of that name, or its user may not see it: create it, give access to it, or correct the name in `fields`."},
	{Code: "INVALID_FIELD_FOR_INSERT_UPDATE", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The app's user may not write this field: give access to it, or remove it from `fields`."},
	{Code: "JSON_PARSER_ERROR", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "A value has another type than its field: write a text as \"{{ … }}\", and a number or a boolean as an expression."},
	{Code: "STRING_TOO_LONG", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The text is longer than the field: make the field longer in Salesforce, or send a shorter text."},
	{Code: invalidAddress, Kind: connectors.Rejected, Fix: connectors.FixNone, Hint: "Salesforce considers the e-mail address invalid, and the event keeps the address that was answered."},
	{Code: "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The picklist accepts only its own values: add the value in Salesforce, or write one of them in `fields`."},
	{Code: "FIELD_CUSTOM_VALIDATION_EXCEPTION", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "A validation rule of the org refuses the record: change the rule, or what `fields` sends."},
	{Code: "FIELD_INTEGRITY_EXCEPTION", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: checkValue},
	{Code: "NUMBER_OUTSIDE_VALID_RANGE", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: checkValue},
	{Code: "MALFORMED_ID", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "A value of `fields` is not the id of a record: correct it."},
	{Code: "INVALID_CROSS_REFERENCE_KEY", Kind: connectors.Rejected, Fix: connectors.FixConfiguration, Hint: "A value of `fields` names a record that does not exist, or that the app's user may not see: correct the value, or give access to the record."},
	{Code: "DUPLICATES_DETECTED", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "A duplicate rule of the org found the person in a record without this key: write the key into that record, use `key: Email`, or let the rule allow it."},
	{Code: duplicateValue, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Another record has the same value in a unique field: change that record, or leave the field out of `fields`."},
	{Code: "DUPLICATE_EXTERNAL_ID", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: severalRecords},
	{Code: "300 Multiple Choices", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: severalRecords},
	{Code: convertedLead, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The lead was converted, and its contact does not exist any more, or the app's user may not see it: restore the contact, or give access to it."},
	{Code: "ENTITY_IS_DELETED", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The record was deleted in the meantime. A replay creates it again."},
	{Code: "DELETE_FAILED", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Salesforce does not delete a contact that has cases or belongs to something else: delete those first, and replay."},
	{Code: "DEPENDENCY_EXISTS", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Salesforce does not delete a record on which something else depends: remove that first, and replay."},
	{Code: "ENTITY_IS_LOCKED", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "The record is locked by an approval process of the org: end the process, or unlock the record."},
	{Code: "INSUFFICIENT_ACCESS", Fix: connectors.FixProduct, Hint: noAccess},
	{Code: "INSUFFICIENT_ACCESS_OR_READONLY", Fix: connectors.FixProduct, Hint: noAccess},
	{Code: "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", Fix: connectors.FixProduct, Hint: noAccess},
	{Code: blocked, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "A trigger or a flow of the org failed on the record: its administrator finds the error in Setup."},
	{Code: "PROCESSING_HALTED", Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Salesforce stopped because another record of the request failed."},
	{Code: "UNSUPPORTED_API_VERSION", Kind: connectors.Revoked, Fix: connectors.FixConfiguration, Hint: "The org does not have this version of the API: update surveygate."},
	{Code: refusedRecord, Kind: connectors.Rejected, Fix: connectors.FixProduct, Hint: "Salesforce refuses the record with a code of its own: look it up in Salesforce's documentation, or correct `fields`."},
}

const severalRecords = "Several records have the same key: keep one of them, and mark the field as Unique in Salesforce."

// Causes returns the causes of Salesforce's refusals.
func (o *Org) Causes() []connectors.Cause { return causes }
