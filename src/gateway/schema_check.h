/* Does a value keep to a JSON schema? Only for judging answers: what a keyword means that is not known here is not looked at, so that an
 * answer is never called wrong for it. Known: type, enum, const, properties, required, additionalProperties, items, prefixItems, minItems,
 * maxItems, minLength, maxLength, minimum, maximum, exclusiveMinimum, exclusiveMaximum, anyOf, oneOf, allOf, $ref within the document.
 * Draft 2020-12. Bounded by SCHEMA_DEPTH and JUDGE_STEPS: what is beyond counts as kept. Pure. */
#ifndef FH_GATEWAY_SCHEMA_CHECK_H
#define FH_GATEWAY_SCHEMA_CHECK_H

#include "json/json.h"

bool fh_schema_keeps(const fh_json *schema, const fh_json *value);

#endif
