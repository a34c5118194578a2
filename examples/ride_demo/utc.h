/* SPDX-License-Identifier: Apache-2.0 */
/* Times as text. Owns: the two formats. Does not own: any clock. */
#ifndef RIDE_DEMO_UTC_H
#define RIDE_DEMO_UTC_H

#include <stdbool.h>
#include <stdint.h>

#define UTC_TEXT_SIZE 32

/* "2009-06-15 17:26:21", with "T" for the blank and " UTC" or "Z" at the end if wanted; years 1000 to 9998.
 * False, with |unix_s| untouched, for anything else and for days that do not exist. */
bool utc_parse(const char *text, int64_t *unix_s);

/* RFC 3339: "2009-06-15T17:26:21Z". */
void utc_format(int64_t unix_s, char out[UTC_TEXT_SIZE]);

#endif
