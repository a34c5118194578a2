/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as text. Any octets are read or refused; what was read is written, and read back as the same; and any
 * number is. */
#include "base/rfc3339.h"

#include "support/fuzz.h"

static void write_and_read(int64_t ns)
{
    char out[NBJ__RFC3339_SIZE];
    int64_t back = ns ^ 1;
    nbj_bytes text = nbj__rfc3339_format(out, ns);

    MUST(text.len < sizeof out && out[text.len] == '\0');
    MUST(nbj__rfc3339_parse(text, &back) && back == ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_alloc(size); /* so that one octet too far is seen */
    int64_t ns = 0;

    if (size > 0)
        memcpy(exact, data, size);
    if (nbj__rfc3339_parse(nbj_view(exact, size), &ns))
        write_and_read(ns);
    free(exact);
    if (size >= sizeof ns) {
        memcpy(&ns, data, sizeof ns);
        write_and_read(ns);
    }
    return 0;
}
