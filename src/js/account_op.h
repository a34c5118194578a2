/* SPDX-License-Identifier: Apache-2.0 */
/* The call about our account: js/op.h, nbj/account.h. */
#ifndef NBJ_JS_ACCOUNT_OP_H
#define NBJ_JS_ACCOUNT_OP_H

#include "js/op.h"

#include <nbj/account.h>

nbj__op *nbj__account_info_new(const nbj_allocator *alloc); /* NULL: no memory */
nbj_account_info *nbj__account_info_take(nbj__op *op);      /* what it has found, the caller's now */

#endif
