/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded error texts (problem.h). */
#include "problem.h"

#include <stdarg.h>
#include <stdio.h>

bool problem_set(problem *out, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(out->text, sizeof out->text, format, arguments);
    va_end(arguments);
    return false;
}

int complain(int status, const char *part, const problem *why)
{
    fprintf(stderr, "nbj-ride-demo: %s%s%s\n", part, *part == '\0' ? "" : ": ", why->text);
    return status;
}

void problem_show(char *out, size_t size, const char *text)
{
    size_t length = 0;

    for (; length + 1 < size && text[length] != '\0'; length++) {
        unsigned char octet = (unsigned char)text[length];
        out[length] = (char)(octet >= 0x20 && octet < 0x7f ? octet : '?');
    }
    out[length] = '\0';
}
