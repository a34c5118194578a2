/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time_text.h"

#define SECOND 1000000000
#define DAY 86400
#define ERA_DAYS 146097 /* of 400 years */

/* Days since 1970; years are counted from March on, so that a leap day is the last one. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t of_era = y % 400; /* years here are positive */
    int64_t of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return y / 400 * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static unsigned days_in(unsigned year, unsigned month)
{
    static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return month == 2 && is_leap ? 29 : days[month - 1];
}

/* Takes |count| digits and then |end| (0: nothing) from the front. */
static bool take(nbj_bytes *text, size_t count, char end, unsigned *out)
{
    size_t len = count + (end != 0);

    if (text->len < len || (end != 0 && text->ptr[count] != (uint8_t)end))
        return false;
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned d = (unsigned)text->ptr[i] - '0';
        if (d > 9)
            return false;
        *out = *out * 10 + d;
    }
    *text = nbj_view(text->ptr + len, text->len - len);
    return true;
}

/* ".5" and the like, or nothing. */
static bool take_fraction(nbj_bytes *text, int64_t *ns)
{
    int64_t unit = SECOND;
    size_t n = 1;

    *ns = 0;
    if (text->len == 0 || text->ptr[0] != '.')
        return true;
    for (; n < text->len && text->ptr[n] >= '0' && text->ptr[n] <= '9'; n++) {
        unit /= 10;
        *ns += unit * (text->ptr[n] - '0');
    }
    *text = nbj_view(text->ptr + n, text->len - n);
    return n > 1;
}

/* "Z" or "+01:30" at the end; how far its clock is ahead. */
static bool take_zone(nbj_bytes text, int64_t *seconds)
{
    unsigned hours, minutes;

    *seconds = 0;
    if (text.len == 1)
        return text.ptr[0] == 'Z' || text.ptr[0] == 'z';
    if (text.len != 6 || (text.ptr[0] != '+' && text.ptr[0] != '-'))
        return false;
    bool is_west = text.ptr[0] == '-';
    text = nbj_view(text.ptr + 1, 5);
    if (!take(&text, 2, ':', &hours) || !take(&text, 2, 0, &minutes) || hours > 23 || minutes > 59)
        return false;
    *seconds = (int64_t)hours * 3600 + minutes * 60;
    if (is_west)
        *seconds = -*seconds;
    return true;
}

/* "2026-11-23", as seconds since 1970. */
static bool take_date(nbj_bytes *text, int64_t *seconds)
{
    unsigned year, month, day;

    if (!take(text, 4, '-', &year) || !take(text, 2, '-', &month) || !take(text, 2, 0, &day))
        return false;
    if (year < 1678 || year > 2261 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return false;
    *seconds = days_of(year, month, day) * DAY;
    return true;
}

/* "07:31:19". */
static bool take_clock(nbj_bytes *text, int64_t *seconds)
{
    unsigned hour, minute, second;

    if (!take(text, 2, ':', &hour) || !take(text, 2, ':', &minute) || !take(text, 2, 0, &second))
        return false;
    *seconds = (int64_t)hour * 3600 + minute * 60 + second;
    return hour <= 23 && minute <= 59 && second <= 60;
}

bool nbj__time_text_parse(nbj_bytes text, int64_t *unix_ns)
{
    int64_t date, clock, ns, zone;

    if (!take_date(&text, &date) || text.len == 0 || (text.ptr[0] != 'T' && text.ptr[0] != 't'))
        return false;
    text = nbj_view(text.ptr + 1, text.len - 1);
    if (!take_clock(&text, &clock) || !take_fraction(&text, &ns) || !take_zone(text, &zone))
        return false;
    *unix_ns = (date + clock - zone) * SECOND + ns;
    return true;
}

static void put(char *out, size_t count, uint64_t value)
{
    while (count-- > 0) {
        out[count] = (char)('0' + value % 10);
        value /= 10;
    }
}

void nbj__time_text_format(char out[NBJ__TIME_TEXT_MAX], int64_t unix_ns)
{
    int64_t ns = unix_ns % SECOND < 0 ? unix_ns % SECOND + SECOND : unix_ns % SECOND;
    int64_t seconds = unix_ns / SECOND - (unix_ns % SECOND < 0);
    int64_t of_day = seconds % DAY < 0 ? seconds % DAY + DAY : seconds % DAY;
    int64_t days = (seconds - of_day) / DAY + 719468;
    int64_t of_era = days % ERA_DAYS; /* days here are positive */
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / (ERA_DAYS - 1)) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t month = (5 * of_year + 2) / 153;

    memcpy(out, "0000-00-00T00:00:00Z", 21);
    put(out, 4, (uint64_t)(year + days / ERA_DAYS * 400 + (month >= 10)));
    put(out + 5, 2, (uint64_t)(month < 10 ? month + 3 : month - 9));
    put(out + 8, 2, (uint64_t)(of_year - (153 * month + 2) / 5 + 1));
    put(out + 11, 2, (uint64_t)(of_day / 3600));
    put(out + 14, 2, (uint64_t)(of_day / 60 % 60));
    put(out + 17, 2, (uint64_t)(of_day % 60));
    if (ns == 0)
        return;
    memcpy(out + 19, ".000000000Z", 12);
    put(out + 20, 9, (uint64_t)ns);
}
