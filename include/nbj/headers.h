/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Message headers as a caller gives them. Reading those of a received message: nbj/msg.h. */
#ifndef NBJ_HEADERS_H
#define NBJ_HEADERS_H

#include <nbj/bytes.h>

/** One header line. Names are printable ASCII without blank and ':', their case is kept (ADR-4); values hold no CR, LF or
 * NUL, and blanks at their ends are lost on the way. The same name may occur several times; the order is kept. */
typedef struct nbj_header {
    nbj_bytes name;  /**< Not empty. */
    nbj_bytes value; /**< May be empty. */
} nbj_header;

#endif
