/* SPDX-License-Identifier: MIT */
#include "hv/hypervisor.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "arch/hypervisor.h"
#include "hv/parts.h"
#include "hv/tlfs.h"
#include "kernel/clock.h"
#include "kernel/log.h"

struct bit_name {
    uint64_t bit;
    const char *name;
};

static const struct bit_name privilege_names[] = {
    {HV_PRIVILEGE_TIME_REF_COUNT, "reference-counter"},
    {HV_PRIVILEGE_REFERENCE_TSC, "reference-TSC-page"},
    {HV_PRIVILEGE_FREQUENCIES, "frequencies"},
    {HV_PRIVILEGE_SYNIC, "SynIC"},
    {HV_PRIVILEGE_STIMER, "timers"},
    {HV_PRIVILEGE_HYPERCALL, "hypercalls"},
    {HV_PRIVILEGE_VP_INDEX, "VP-index"},
    {HV_PRIVILEGE_POST_MESSAGES, "post-messages"},
    {HV_PRIVILEGE_SIGNAL_EVENTS, "signal-events"},
};

static const struct bit_name feature_names[] = {
    {HV_FEATURE_CRASH, "crash-registers"},
    {HV_FEATURE_DIRECT_STIMER, "direct-timers"},
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Appends " name" for each bit that is set; the line has room for all of them. */
static void append_names(char *line, uint64_t bits, const struct bit_name *names, size_t count)
{
    size_t used = strlen(line);
    for (size_t n = 0; n < count; n++) {
        size_t length = strlen(names[n].name);
        if ((bits & names[n].bit) == 0) {
            continue;
        }
        line[used++] = ' ';
        memcpy(line + used, names[n].name, length + 1);
        used += length;
    }
}

static void report_identity(const struct arch_hypervisor *words)
{
    log_info("hv", "\"%s\", version %u.%u build %u, VP index %u", words->vendor,
             (unsigned)(words->version[1] >> 16), (unsigned)(words->version[1] & 0xFFFF),
             (unsigned)words->version[0], (unsigned)hv_vp_index());
    /* Zero where the hypervisor does not tell, all ones where there is no limit. */
    if (words->limits[0] != 0 && words->limits[0] != UINT32_MAX) {
        log_info("hv", "limits: %u virtual processors, %u logical processors",
                 (unsigned)words->limits[0], (unsigned)words->limits[1]);
    }
}

static void report_features(const struct arch_hypervisor *words)
{
    char names[160] = "";
    append_names(names, words->privileges, privilege_names, COUNT_OF(privilege_names));
    append_names(names, words->features, feature_names, COUNT_OF(feature_names));
    log_info("hv", "privileges 0x%llx features 0x%llx recommendations 0x%x hardware 0x%x",
             (unsigned long long)words->privileges, (unsigned long long)words->features,
             (unsigned)words->recommendations, (unsigned)words->hardware);
    log_info("hv", "offers:%s", names);
}

void hv_report(void)
{
    if (hv_presence() != HV_ABSENT) {
        report_identity(hv_words());
        report_features(hv_words());
    }
    if (hv_presence() != HV_PRESENT) {
        log_info("hv", "%s", hv_presence_reason());
    }
    log_info("hv", "clock: %s; timer: %s", clock_source_name(), clock_event_name());
}
