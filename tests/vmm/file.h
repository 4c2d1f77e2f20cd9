/* SPDX-License-Identifier: MIT */
#ifndef VMM_FILE_H
#define VMM_FILE_H

/* Files that options name: as bytes in memory, read only. */

#include <stdint.h>

struct file {
    const char *option;
    const char *name;
    const uint8_t *data;
    uint64_t size; /* not 0 */
};

/* Ends the process with one line that names the option if it cannot be opened, or is empty. */
struct file file_open(const char *option, const char *name);
void file_close(const struct file *file);

/* `size` bytes from `offset` on; ends the process, likewise, if there are not so many. */
const void *file_part(const struct file *file, uint64_t offset, uint64_t size, const char *what);

#endif
