/* SPDX-License-Identifier: MIT */
#include "drivers/integration/integration_negotiation.h"

#include <stdbool.h>
#include <string.h>

static const struct integration_version frameworks[] = {
    INTEGRATION_FRAMEWORK,
    INTEGRATION_FRAMEWORK_2008,
    {0, 0},
};

/* The first of ours that is among the host's. */
static bool choose(const struct integration_version *ours, const uint8_t *offered, uint32_t count,
                   struct integration_version *chosen)
{
    for (; ours->major != 0; ours++) {
        for (uint32_t i = 0; i < count; i++) {
            struct integration_version version;
            memcpy(&version, offered + i * sizeof(version), sizeof(version));
            if (version.major == ours->major && version.minor == ours->minor) {
                *chosen = version;
                return true;
            }
        }
    }
    return false;
}

uint16_t integration_negotiate(const struct integration_version *versions, void *body,
                               uint16_t size, struct integration_version *framework,
                               struct integration_version *version)
{
    const struct integration_version none = {0, 0};
    uint8_t *offered = (uint8_t *)body + sizeof(struct integration_negotiate);
    struct integration_negotiate counts;

    memcpy(&counts, body, sizeof(counts));
    const uint32_t framework_count = counts.framework_count;
    const uint32_t message_count = counts.message_count;
    const bool agreed =
        framework_count <= INTEGRATION_VERSIONS_MAX && message_count <= INTEGRATION_VERSIONS_MAX &&
        (framework_count + message_count) * sizeof(none) <= size - sizeof(counts) &&
        choose(frameworks, offered, framework_count, framework) &&
        choose(versions, offered + framework_count * sizeof(none), message_count, version);
    if (!agreed) {
        *framework = none;
        *version = none;
    }
    counts.framework_count = agreed ? 1 : 0;
    counts.message_count = agreed ? 1 : 0;
    memcpy(body, &counts, sizeof(counts));
    memcpy(offered, framework, sizeof(none));
    memcpy(offered + sizeof(none), version, sizeof(none));
    return INTEGRATION_NEGOTIATE_ANSWER_SIZE;
}
