/* SPDX-License-Identifier: MIT */
/*
 * What an ARM64 guest with firmware finds of the bus: names, identities and interrupt as Hyper-V's firmware gives them (mu_msvm,
 * Dsdt.asl).
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "BAREBU", "EL2", 1)
{
    Scope (\_SB)
    {
        Device (VMOD)
        {
            Name (_HID, "ACPI0004")
            Name (_UID, Zero)

            Device (VMBS)
            {
                Name (_HID, "MSFT1000")
                Name (_CID, "VMBus")
                Name (_UID, Zero)
                Name (_CCA, One)
                Method (_STA, 0, NotSerialized)
                {
                    Return (0x0F)
                }
                Name (_CRS, ResourceTemplate ()
                {
                    Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 18 } // GUEST_VMBUS_INTERRUPT of machine.h
                })
            }
        }
    }
}
