/* SPDX-License-Identifier: MIT */
#ifndef HV_DISCOVERY_H
#define HV_DISCOVERY_H

#include "arch/hypervisor.h"
#include "hv/hypervisor.h"

/*
 * Decides what the discovery words mean for this guest. `reason` gets a constant text, empty for
 * HV_PRESENT. A pure function of the words.
 *
 * The interface's signature decides, never the vendor's name (TLFS, Feature and Interface
 * Discovery: "Hv#1"; QEMU lets a user set the name). All required bits are needed, since other
 * hypervisors announce the signature without hypercalls. The privileges to post messages and to
 * signal events are not required: OpenVMM on KVM does not announce them and serves both.
 */
enum hv_presence hv_discover(const struct arch_hypervisor *words, const char **reason);

#endif
