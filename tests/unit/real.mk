# SPDX-License-Identifier: MIT
# What a unit test is linked with besides what its name says (see the Makefile).

balloon_test_host := $(wildcard tests/unit/balloon/*.c)
real_test_balloon_negotiation := $(balloon_test_host)
real_test_balloon_pages := $(balloon_test_host)
real_test_balloon_messages := $(balloon_test_host)

# Pure parts of arch/ that need no such processor.
real_test_hv_discovery := arch/x86_64/hypervisor_words.c
