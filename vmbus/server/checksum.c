/* SPDX-License-Identifier: MIT */
#include "vmbus/server/checksum.h"

#define POLYNOMIAL 0x82F63B78u /* its bits in reverse order */

/* What four bits do to the remainder. */
#define BIT(n)    (((n) >> 1) ^ (((n)&1u) != 0 ? POLYNOMIAL : 0))
#define NIBBLE(n) BIT(BIT(BIT(BIT((uint32_t)(n)))))
static const uint32_t nibbles[16] = {
    NIBBLE(0), NIBBLE(1), NIBBLE(2),  NIBBLE(3),  NIBBLE(4),  NIBBLE(5),  NIBBLE(6),  NIBBLE(7),
    NIBBLE(8), NIBBLE(9), NIBBLE(10), NIBBLE(11), NIBBLE(12), NIBBLE(13), NIBBLE(14), NIBBLE(15),
};

uint32_t vmbus_checksum(uint32_t before, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint32_t sum = ~before;

    for (; size != 0; size--) {
        sum ^= *at++;
        sum = (sum >> 4) ^ nibbles[sum & 15u];
        sum = (sum >> 4) ^ nibbles[sum & 15u];
    }
    return ~sum;
}
