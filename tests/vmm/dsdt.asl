/* SPDX-License-Identifier: MIT */
/*
 * The devices that are found by description alone: the bus, as on a Generation 2 guest of Hyper-V (names and ids as in mu_msvm's
 * Dsdt.asl, which Linux' hv_vmbus looks for), and the serial port, which a machine without legacy devices has to name.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "BAREBU", "VMM", 1)
{
    Name (\_S5, Package () { 5, 0, 0, 0 }) // PLATFORM_SLEEP_TYPE_S5

    Scope (\_SB)
    {
        Device (VMOD)
        {
            Name (_HID, "ACPI0004")
            Name (_UID, Zero)
            // What devices of the bus may place their windows in: a part of the hole below 4 GiB.
            Name (_CRS, ResourceTemplate ()
            {
                DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed, Cacheable, ReadWrite,
                    0, 0xE0000000, 0xEFFFFFFF, 0, 0x10000000)
            })

            Device (VMBS)
            {
                Name (_HID, "MSFT1000")
                Name (_CID, "VMBus")
                Name (_UID, Zero)
                Method (_STA, 0, NotSerialized)
                {
                    Return (0x0F)
                }
                // Not used: the bus interrupts through the SynIC. Linux wants the list to be there.
                Name (_CRS, ResourceTemplate ()
                {
                    IRQ (Edge, ActiveHigh, Exclusive) { 5 }
                })
            }
        }

        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, One)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                IRQ (Edge, ActiveHigh, Exclusive) { 4 }
            })
        }
    }
}
