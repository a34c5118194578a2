/* SPDX-License-Identifier: Apache-2.0 */
/* Times as text (utc.h). */
#define _GNU_SOURCE
#include "utc.h"

#include <string.h>
#include <time.h>

static bool has_shape(const char *text)
{
    static const char shape[] = "0000-00-00 00:00:00";

    for (size_t i = 0; shape[i] != '\0'; i++) {
        bool digit = text[i] >= '0' && text[i] <= '9';
        bool fits = shape[i] == '0' ? digit : text[i] == shape[i] || (shape[i] == ' ' && text[i] == 'T');
        if (!fits)
            return false; /* the end of a short text fits nothing, so no octet behind it is read */
    }
    const char *zone = text + sizeof shape - 1;
    return *zone == '\0' || strcmp(zone, " UTC") == 0 || strcmp(zone, "Z") == 0;
}

static int digits(const char *text, size_t count)
{
    int value = 0;

    for (size_t i = 0; i < count; i++)
        value = value * 10 + (text[i] - '0');
    return value;
}

bool utc_parse(const char *text, int64_t *unix_s)
{
    if (!has_shape(text))
        return false;
    struct tm asked = {
        .tm_year = digits(text, 4) - 1900,
        .tm_mon = digits(text + 5, 2) - 1,
        .tm_mday = digits(text + 8, 2),
        .tm_hour = digits(text + 11, 2),
        .tm_min = digits(text + 14, 2),
        .tm_sec = digits(text + 17, 2),
    };
    struct tm normal = asked;
    time_t seconds = timegm(&normal);

    if (asked.tm_year < 1000 - 1900 || asked.tm_year > 9998 - 1900)
        return false;
    if (normal.tm_mon != asked.tm_mon || normal.tm_mday != asked.tm_mday || normal.tm_hour != asked.tm_hour ||
        normal.tm_min != asked.tm_min || normal.tm_sec != asked.tm_sec)
        return false; /* normalising moved it: 30 February, 25 o'clock */
    *unix_s = seconds;
    return true;
}

void utc_format(int64_t unix_s, char out[UTC_TEXT_SIZE])
{
    time_t seconds = (time_t)unix_s;
    struct tm parts;

    gmtime_r(&seconds, &parts);
    strftime(out, UTC_TEXT_SIZE, "%Y-%m-%dT%H:%M:%SZ", &parts);
}
