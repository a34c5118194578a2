/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rfc3339.h"

#include <assert.h>

#define NS_PER_SECOND 1000000000
#define SECONDS_PER_DAY 86400
#define SECONDS_MAX (INT64_MAX / NS_PER_SECOND)
#define GO_ZERO INT64_C(-62135596800) /* 0001-01-01T00:00:00Z in seconds */

/* --- the calendar: years begin in March here, so that the day that comes and goes is the last one, and are counted
 * from 400 before our first, where the same calendar began, so that none is negative --- */

#define YEARS_BEFORE 400
#define DAYS_TO_1970 865565

/* Days from March 1st to the first of |month|, 0 for March to 11 for February: five months have 153 days. */
static int64_t days_before_month(int64_t month)
{
    return (153 * month + 2) / 5;
}

static int64_t days_before_year(int64_t year)
{
    return 365 * year + year / 4 - year / 100 + year / 400;
}

/* Days from 1970-01-01; |month| is 1 to 12, |year| 0 to 9999. */
static int64_t days_of_date(int64_t year, int64_t month, int64_t day)
{
    bool is_late = month > 2;
    int64_t y = (is_late ? year : year - 1) + YEARS_BEFORE;

    return days_before_year(y) + days_before_month(is_late ? month - 3 : month + 9) + day - 1 - DAYS_TO_1970;
}

static int64_t days_in_month(int64_t year, int64_t month)
{
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (month == 2)
        return is_leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* --- reading --- */

static bool take(nbj_bytes *text, char c)
{
    if (text->len == 0 || text->ptr[0] != (uint8_t)c)
        return false;
    *text = nbj_view(text->ptr + 1, text->len - 1);
    return true;
}

static bool is_digit(nbj_bytes text)
{
    return text.len > 0 && text.ptr[0] >= '0' && text.ptr[0] <= '9';
}

/* Exactly |digits| of them, which must come to |min| to |max|. */
static bool take_number(nbj_bytes *text, int digits, int64_t min, int64_t max, int64_t *out)
{
    *out = 0;
    for (int i = 0; i < digits; i++) {
        if (!is_digit(*text))
            return false;
        *out = *out * 10 + (text->ptr[0] - '0');
        *text = nbj_view(text->ptr + 1, text->len - 1);
    }
    return *out >= min && *out <= max;
}

static bool take_fraction(nbj_bytes *text, int64_t *ns)
{
    int64_t unit = NS_PER_SECOND;

    *ns = 0;
    if (!take(text, '.'))
        return true;
    if (!is_digit(*text))
        return false;
    for (int64_t digit; is_digit(*text) && unit > 1;) {
        unit /= 10;
        (void)take_number(text, 1, 0, 9, &digit);
        *ns += digit * unit;
    }
    return true;
}

/* Seconds that the zone is ahead of UTC. */
static bool take_zone(nbj_bytes *text, int64_t *ahead)
{
    int64_t hours, minutes;

    *ahead = 0;
    if (take(text, 'Z') || take(text, 'z'))
        return true;
    bool is_behind = take(text, '-');
    if (!is_behind && !take(text, '+'))
        return false;
    if (!take_number(text, 2, 0, 23, &hours) || !take(text, ':') || !take_number(text, 2, 0, 59, &minutes))
        return false;
    *ahead = (hours * 3600 + minutes * 60) * (is_behind ? -1 : 1);
    return true;
}

static bool take_date(nbj_bytes *text, int64_t *days)
{
    int64_t year, month, day;

    if (!take_number(text, 4, 0, 9999, &year) || !take(text, '-') || !take_number(text, 2, 1, 12, &month) ||
        !take(text, '-') || !take_number(text, 2, 1, days_in_month(year, month), &day))
        return false;
    *days = days_of_date(year, month, day);
    return true;
}

static bool take_clock(nbj_bytes *text, int64_t *seconds)
{
    int64_t hour, minute, second;

    if (!take_number(text, 2, 0, 23, &hour) || !take(text, ':') || !take_number(text, 2, 0, 59, &minute) ||
        !take(text, ':') || !take_number(text, 2, 0, 59, &second))
        return false;
    *seconds = hour * 3600 + minute * 60 + second;
    return true;
}

static int64_t in_range(int64_t seconds, int64_t ns)
{
    if (seconds == GO_ZERO && ns == 0)
        return 0;
    if (seconds > SECONDS_MAX || (seconds == SECONDS_MAX && ns > INT64_MAX % NS_PER_SECOND))
        return INT64_MAX;
    if (seconds < -SECONDS_MAX - 1 || (seconds == -SECONDS_MAX - 1 && ns < NS_PER_SECOND + INT64_MIN % NS_PER_SECOND))
        return INT64_MIN;
    return seconds < 0 ? (seconds + 1) * NS_PER_SECOND - (NS_PER_SECOND - ns) : seconds * NS_PER_SECOND + ns;
}

bool nbj__rfc3339_parse(nbj_bytes text, int64_t *out)
{
    int64_t days, seconds, ns, ahead;

    if (!take_date(&text, &days) || (!take(&text, 'T') && !take(&text, 't')) || !take_clock(&text, &seconds) ||
        !take_fraction(&text, &ns) || !take_zone(&text, &ahead) || text.len > 0)
        return false;
    *out = in_range(days * SECONDS_PER_DAY + seconds - ahead, ns);
    return true;
}

/* --- writing --- */

static char *put_number(char *at, int64_t n, int digits)
{
    for (int i = digits; i > 0; i--) {
        at[i - 1] = (char)('0' + n % 10);
        n /= 10;
    }
    return at + digits;
}

static char *put_date(char *at, int64_t days)
{
    int64_t since = days + DAYS_TO_1970;
    int64_t year = since / 365; /* or one too many, since that ignores leap days */

    while (days_before_year(year) > since)
        year--;
    int64_t day = since - days_before_year(year);
    int64_t month = 11;
    while (days_before_month(month) > day)
        month--;
    day = day - days_before_month(month) + 1;
    bool is_next_year = month >= 10;
    at = put_number(at, year - YEARS_BEFORE + (is_next_year ? 1 : 0), 4);
    *at++ = '-';
    at = put_number(at, is_next_year ? month - 9 : month + 3, 2);
    *at++ = '-';
    return put_number(at, day, 2);
}

static char *put_clock(char *at, int64_t seconds)
{
    at = put_number(at, seconds / 3600, 2);
    *at++ = ':';
    at = put_number(at, seconds / 60 % 60, 2);
    *at++ = ':';
    return put_number(at, seconds % 60, 2);
}

nbj_bytes nbj__rfc3339_format(char out[NBJ__RFC3339_SIZE], int64_t unix_ns)
{
    int64_t ns = unix_ns % NS_PER_SECOND;
    int64_t seconds = unix_ns / NS_PER_SECOND;

    seconds -= ns < 0 ? 1 : 0; /* both divisions round toward zero; times before 1970 want them down */
    ns += ns < 0 ? NS_PER_SECOND : 0;
    int64_t clock = seconds % SECONDS_PER_DAY;
    clock += clock < 0 ? SECONDS_PER_DAY : 0;
    char *at = put_date(out, (seconds - clock) / SECONDS_PER_DAY);
    *at++ = 'T';
    at = put_clock(at, clock);
    if (ns > 0) {
        *at++ = '.';
        at = put_number(at, ns, 9);
        while (at[-1] == '0')
            at--;
    }
    *at++ = 'Z';
    *at = '\0';
    assert(at < out + NBJ__RFC3339_SIZE);
    return nbj_view(out, (size_t)(at - out));
}
