/* SPDX-License-Identifier: Apache-2.0 */
/* A time as a text: what is accepted is the same when written and read again. */
#include "base/time_text.h"

#include "support/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[NBJ__TIME_TEXT_MAX];
    int64_t ns, back;

    if (!nbj__time_text_parse(nbj_view(data, size), &ns))
        return 0;
    nbj__time_text_format(text, ns);
    MUST(strlen(text) == 20 || strlen(text) == 30);
    if (memcmp(text, "1678", 4) < 0 || memcmp(text, "2261", 4) > 0)
        return 0; /* its zone has moved it out of the years that are read */
    MUST(nbj__time_text_parse(nbj_str(text), &back) && back == ns);
    return 0;
}
