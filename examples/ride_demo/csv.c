/* SPDX-License-Identifier: Apache-2.0 */
/* CSV lines and fields (csv.h). */
#include "csv.h"

#include <stdbool.h>
#include <string.h>

static const char BYTE_ORDER_MARK[] = "\xef\xbb\xbf";

static csv_result bad(const char **reason, const char *text)
{
    *reason = text;
    return CSV_BAD;
}

static void drop_line_end(csv_line *line)
{
    size_t mark = sizeof BYTE_ORDER_MARK - 1;

    if (line->length > 0 && line->text[line->length - 1] == '\r')
        line->length--;
    line->text[line->length] = '\0';
    if (line->number == 1 && strncmp(line->text, BYTE_ORDER_MARK, mark) == 0) {
        line->length -= mark;
        memmove(line->text, line->text + mark, line->length + 1);
    }
}

csv_result csv_read_line(FILE *in, csv_line *line, const char **reason)
{
    bool too_long = false;
    int octet = getc(in);

    if (octet == EOF)
        return ferror(in) ? CSV_FAILED : CSV_END;
    line->number++;
    line->length = 0;
    for (; octet != EOF && octet != '\n'; octet = getc(in)) {
        if (line->length < CSV_LINE_MAX)
            line->text[line->length++] = (char)octet;
        else
            too_long = true;
    }
    if (ferror(in))
        return CSV_FAILED;
    drop_line_end(line);
    if (too_long)
        return bad(reason, "the line is longer than 8192 octets");
    if (strlen(line->text) != line->length)
        return bad(reason, "the line contains a NUL octet");
    return CSV_OK;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char *skip_blanks(char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

/* |at| is behind the opening quote. Unquotes in place, ends the field and returns what follows the closing
 * quote, or NULL when there is none. */
static char *unquote(char *at)
{
    char *out = at;

    for (; *at != '\0'; at++) {
        if (*at == '"' && at[1] != '"') {
            *out = '\0';
            return at + 1;
        }
        if (*at == '"')
            at++;
        *out++ = *at;
    }
    return NULL;
}

/* Ends the unquoted field at |at| and returns its separator's place: a comma or the end of the line. */
static char *end_of_plain(char *at, char *separator)
{
    char *end = at + strcspn(at, ",");

    *separator = *end;
    for (char *last = end; last > at && is_blank(last[-1]); last--)
        last[-1] = '\0';
    *end = '\0';
    return end;
}

csv_result csv_split(char *text, char *fields[CSV_FIELDS_MAX], size_t *count, const char **reason)
{
    char separator = ',';

    for (*count = 0; separator == ','; (*count)++) {
        if (*count == CSV_FIELDS_MAX)
            return bad(reason, "more than 128 fields");
        text = skip_blanks(text);
        if (*text != '"') {
            fields[*count] = text;
            text = end_of_plain(text, &separator) + 1;
            continue;
        }
        fields[*count] = text + 1;
        text = unquote(text + 1);
        if (text == NULL)
            return bad(reason, "a quoted field is not closed on its line");
        text = skip_blanks(text);
        separator = *text++;
        if (separator != ',' && separator != '\0')
            return bad(reason, "text follows a closing quote");
    }
    return CSV_OK;
}
