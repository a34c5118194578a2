/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread's vector registers hold after a secret was copied: libraries copy by way of them, little else may use
 * those, and a core dump has them all. */
#ifndef NBJ_DRIVER_REGISTERS_H
#define NBJ_DRIVER_REGISTERS_H

/* Empties those of the calling thread, on processors that are known here. */
void nbj__registers_forget(void);

#endif
