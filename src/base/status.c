/* SPDX-License-Identifier: Apache-2.0 */
/* The texts of statuses and errors. */
#include <nbj/status.h>
#include <nbj/version.h>

#include <stddef.h>

const char *nbj_strerror(nbj_status status)
{
    switch (status) {
#define NBJ_X(name, value, text) \
    case name:                   \
        return text;
        NBJ_STATUS_MAP(NBJ_X)
#undef NBJ_X
    }
    return "unknown status";
}

const char *nbj_error_text(const nbj_error *error)
{
    if (error == NULL)
        return "";
    return error->text[0] != '\0' ? error->text : nbj_strerror(error->status);
}

const char *nbj_version(void)
{
    return NBJ_VERSION;
}
