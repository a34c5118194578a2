/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as texts: RFC 3339, as servers write them. */
#ifndef NBJ_BASE_TIME_TEXT_H
#define NBJ_BASE_TIME_TEXT_H

#include <nbj/bytes.h>
#include <stdbool.h>

#define NBJ__TIME_TEXT_MAX 31 /* "2026-11-23T07:31:19.507614601Z" and its NUL */

/* |text| as nanoseconds since 1970. False: it is no such text, or its year is not within 1678 to 2261. Digits of the
 * fraction behind the ninth are passed over; a leap second is the first second of the next minute. */
bool nbj__time_text_parse(nbj_bytes text, int64_t *unix_ns);

/* In UTC; the fraction in nine digits where there is one. */
void nbj__time_text_format(char out[NBJ__TIME_TEXT_MAX], int64_t unix_ns);

#endif
