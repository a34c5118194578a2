/* SPDX-License-Identifier: Apache-2.0 */
/* What the texts of -ERR mean. */
#ifndef NBJ_WIRE_SERVER_ERROR_H
#define NBJ_WIRE_SERVER_ERROR_H

#include <nbj/bytes.h>
#include <nbj/status.h>
#include <stdbool.h>

#define NBJ__SERVER_ERROR_MAX 1024u /* of a longer text the rest is not kept */

typedef struct nbj__server_error {
    nbj_status status;
    bool closes;       /* the server ends the connection */
    bool is_auth;      /* it does not accept who we are */
    nbj_bytes subject; /* of a permission violation; a view into the text, where '"' and '\\' are escaped; or empty */
    nbj_bytes queue;   /* likewise */
} nbj__server_error;

/* Reads the text of an -ERR. A text that is not known is NBJ_E_SERVER, and whether the server closes is then seen from
 * what the socket does. */
nbj__server_error nbj__server_error_read(nbj_bytes text);

#endif
