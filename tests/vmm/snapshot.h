/* SPDX-License-Identifier: MIT */
#ifndef VMM_SNAPSHOT_H
#define VMM_SNAPSHOT_H

/* A whole guest to a file, and back. The executive's thread, IRQL_PASSIVE. */

#include <stdint.h>

struct machine;

/*
 * Stops the guest's processors, pauses its devices, and writes everything. Returns NULL, or why
 * that cannot be. Either way the guest stands; snapshot_continue() lets it go on.
 */
const char *snapshot_save(struct machine *machine, const char *name);
void snapshot_continue(struct machine *machine);

/* Instead of loading a kernel: the machine has memory, processors and devices as it was saved, the
 * devices Disabled. They are started behind it. Ends the process with one line if it cannot. */
void snapshot_resume(struct machine *machine, const char *name);

/* Memory and processors of the guest in a file, for the options. */
void snapshot_peek(const char *name, uint64_t *memory_mib, uint32_t *processors);

#endif
