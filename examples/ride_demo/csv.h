/* SPDX-License-Identifier: Apache-2.0 */
/* CSV lines and fields. Owns: line ends (LF, CRLF), the byte order mark, quotes, the bounds on a line.
 * Does not own: what the fields mean (trips.h).
 * A quoted field ends on its own line: none of our columns needs a line break, and a forgotten quote then
 * spoils one row instead of all that follow. */
#ifndef RIDE_DEMO_CSV_H
#define RIDE_DEMO_CSV_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define CSV_LINE_MAX 8192 /* octets without the line end; what is longer is skipped, never stored */
#define CSV_FIELDS_MAX 128

typedef struct csv_line {
    uint64_t number; /* of the line in |text|; the first is 1 */
    size_t length;
    char text[CSV_LINE_MAX + 1];
} csv_line;

typedef enum csv_result {
    CSV_OK = 1,
    CSV_BAD,    /* this line cannot be used, see |reason|; the next one can be read */
    CSV_END,    /* of the file */
    CSV_FAILED, /* reading failed, see errno */
} csv_result;

/* Reads the next line without its end, and without the byte order mark of the first. Start with a zeroed
 * |line|. |reason| is static text, set with CSV_BAD only. */
csv_result csv_read_line(FILE *in, csv_line *line, const char **reason);

/* Splits |text| in place: blanks around a field and its quotes go, "" becomes ". Returns CSV_OK or CSV_BAD. */
csv_result csv_split(char *text, char *fields[CSV_FIELDS_MAX], size_t *count, const char **reason);

#endif
