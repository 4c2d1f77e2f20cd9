/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_VERSION_H
#define KERNEL_VERSION_H

/* What this system calls itself when somebody asks. */
#define VERSION_NAME  "Barebus"
#define VERSION_MAJOR "1"
#define VERSION_MINOR "0"
#define VERSION_TEXT  VERSION_MAJOR "." VERSION_MINOR

/* Of the processor that this was built for: "x86_64". */
const char *version_architecture(void);

#endif
