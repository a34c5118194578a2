/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as JSON and headers have them (RFC 3339): "2025-11-20T15:04:05.123456789Z". As a number they are
 * nanoseconds since 1970-01-01T00:00:00Z, which reaches from 1677 to 2262. */
#ifndef NBJ_BASE_RFC3339_H
#define NBJ_BASE_RFC3339_H

#include <nbj/bytes.h>
#include <stdbool.h>

#define NBJ__RFC3339_SIZE 31 /* of the longest that is written, with its NUL */

/* Reads all of |text|, at most nine digits of a second's fraction, in any zone. What lies outside of the range is the
 * nearest point in it; only the start of year 1, which servers write for "never", is 0. Writes |out| on success only.
 * */
bool nbj__rfc3339_parse(nbj_bytes text, int64_t *out);

/* Writes it in UTC to |out|, the fraction without zeros at its end; returns a view of it. */
nbj_bytes nbj__rfc3339_format(char out[NBJ__RFC3339_SIZE], int64_t unix_ns);

#endif
