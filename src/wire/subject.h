/* SPDX-License-Identifier: Apache-2.0 */
/* Subjects: tokens separated by '.', none empty; '*' and '>' are wildcards only as whole tokens. We check more than
 * servers do, because an illegal octet in a subject can end the connection. */
#ifndef NBJ_WIRE_SUBJECT_H
#define NBJ_WIRE_SUBJECT_H

#include <nbj/bytes.h>
#include <stdbool.h>

/* With its verb, sizes and the other words a subject has to fit into a server's control line of 4,096 octets. */
#define NBJ__SUBJECT_MAX 1920u

bool nbj__subject_is_literal(nbj_bytes subject); /* may be published to */
bool nbj__subject_is_filter(nbj_bytes subject);  /* may be subscribed to */
bool nbj__queue_is_legal(nbj_bytes queue);       /* as a queue group's name */
bool nbj__name_is_legal(nbj_bytes name);         /* of a stream or consumer: one token without / and \, up to 255 */

/* Whether |filter| covers the literal |subject|. */
bool nbj__subject_matches(nbj_bytes filter, nbj_bytes subject);

#endif
