/* SPDX-License-Identifier: MIT */
#include "kernel/boot_info.h"

void boot_info_command_line(struct boot_info *info, const char *text, size_t maximum)
{
    size_t length = 0;

    while (length < maximum && text[length] != '\0' && length < COMMAND_LINE_SIZE - 1) {
        info->command_line[length] = text[length];
        length++;
    }
    info->command_line[length] = '\0';
    info->command_line_cut = length < maximum && text[length] != '\0';
}

void boot_info_remark(struct boot_info *info, const char *text)
{
    if (info->remark_count < BOOT_REMARKS) {
        info->remarks[info->remark_count++] = text;
    }
}
