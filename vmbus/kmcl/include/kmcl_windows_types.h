/* SPDX-License-Identifier: MIT */
#ifndef KMCL_WINDOWS_TYPES_H
#define KMCL_WINDOWS_TYPES_H

/*
 * The Windows words that a KMCL driver is written in, for a system that is not Windows: base types,
 * status values, annotations, and memory descriptor lists (MDLs). Sizes and values are those of
 * 64-bit Windows; ULONG has 32 bits. Compiles alone, as C11 and as C++17.
 */

#include <stddef.h>
#include <stdint.h>

/* ---- annotations: they say something to Windows' analysers and nothing to a compiler ---- */

#ifndef _In_
#define _In_
#define _In_opt_
#define _In_reads_(count)
#define _In_reads_opt_(count)
#define _In_reads_bytes_(size)
#define _In_reads_bytes_opt_(size)
#define _In_range_(low, high)
#define _Out_
#define _Out_opt_
#define _Out_writes_bytes_(size)
#define _Out_writes_bytes_opt_(size)
#define _Out_writes_bytes_to_opt_(size, count)
#define _Inout_
#define _Inout_opt_
#define _At_(target, annotations)
#define _When_(condition, annotations)
#define _Success_(condition)
#define _Pre_satisfies_(condition)
#define _Must_inspect_result_
#define _Function_class_(name)
#define _IRQL_requires_(irql)
#define _IRQL_requires_max_(irql)
#define _IRQL_requires_same_
#define __drv_aliasesMem
#define __drv_allocatesMem(kind)
#define __drv_freesMem(kind)
#endif

#define FASTCALL
#ifndef FORCEINLINE
#define FORCEINLINE static inline
#endif

/* ---- base types ---- */

#define VOID void

typedef void *PVOID;
typedef uint8_t UCHAR;
typedef int16_t CSHORT;
typedef uint16_t USHORT;
typedef int32_t LONG;
typedef uint32_t ULONG, *PULONG;
typedef int64_t LONGLONG;
typedef uint64_t ULONGLONG;
typedef uint8_t UINT8, *PUINT8;
typedef uint16_t UINT16, *PUINT16;
typedef uint32_t UINT32, *PUINT32;
typedef uint64_t UINT64, *PUINT64;
typedef uintptr_t ULONG_PTR;
typedef size_t SIZE_T;

typedef uint8_t BOOLEAN;
#ifndef TRUE
#define TRUE  1
#define FALSE 0
#endif

/* UTF-16, whatever wchar_t of the compiler is: write u"text". */
#ifdef __cplusplus
typedef char16_t WCHAR;
#else
typedef uint_least16_t WCHAR;
#endif
typedef WCHAR *PWCH;

typedef union _LARGE_INTEGER {
    struct {
        ULONG LowPart;
        LONG HighPart;
    } u;
    LONGLONG QuadPart;
} LARGE_INTEGER, *PLARGE_INTEGER;

typedef struct _GUID {
    UINT32 Data1;
    UINT16 Data2;
    UINT16 Data3;
    UINT8 Data4[8];
} GUID, *LPGUID;
typedef const GUID *LPCGUID;

/* Lengths in bytes. `Buffer` need not end in a zero. */
typedef struct _UNICODE_STRING {
    USHORT Length;
    USHORT MaximumLength;
    PWCH Buffer;
} UNICODE_STRING, *PUNICODE_STRING;
typedef const UNICODE_STRING *PCUNICODE_STRING;

/* L"text" has characters of another size, unless compiled with -fshort-wchar, and is refused: the
 * array's size is negative then. */
#define RTL_CONSTANT_STRING(text)                                                                  \
    {                                                                                              \
        sizeof(text) - sizeof(WCHAR[sizeof((text)[0]) == sizeof(WCHAR) ? 1 : -1]), sizeof(text),   \
            (PWCH)(text)                                                                           \
    }

/* Nothing here looks inside a device object: there is no device tree. */
typedef struct _DEVICE_OBJECT *PDEVICE_OBJECT;

typedef PVOID HANDLE, *PHANDLE;

/* What a table of functions begins with (DDI: wdm INTERFACE). The two functions count its users. */
typedef VOID INTERFACE_REFERENCE(PVOID Context);
typedef INTERFACE_REFERENCE *PINTERFACE_REFERENCE;
typedef VOID INTERFACE_DEREFERENCE(PVOID Context);
typedef INTERFACE_DEREFERENCE *PINTERFACE_DEREFERENCE;

#define INTERFACE_MEMBERS                                                                          \
    USHORT Size;                                                                                   \
    USHORT Version;                                                                                \
    PVOID Context;                                                                                 \
    PINTERFACE_REFERENCE InterfaceReference;                                                       \
    PINTERFACE_DEREFERENCE InterfaceDereference;

typedef struct _INTERFACE {
    INTERFACE_MEMBERS
} INTERFACE, *PINTERFACE;

#define DECLARE_HANDLE(name)                                                                       \
    struct name##__;                                                                               \
    typedef struct name##__ *name

/* ---- status values ---- */

typedef int32_t NTSTATUS;

/* Mind that STATUS_BUFFER_OVERFLOW and STATUS_MORE_PROCESSING_REQUIRED are no successes, and that
 * STATUS_PENDING is one. */
#define NT_SUCCESS(status) (((NTSTATUS)(status)) >= 0)

#define STATUS_SUCCESS                  ((NTSTATUS)0x00000000)
#define STATUS_PENDING                  ((NTSTATUS)0x00000103)
#define STATUS_BUFFER_OVERFLOW          ((NTSTATUS)0x80000005)
#define STATUS_UNSUCCESSFUL             ((NTSTATUS)0xC0000001)
#define STATUS_INVALID_PARAMETER        ((NTSTATUS)0xC000000D)
#define STATUS_INVALID_DEVICE_REQUEST   ((NTSTATUS)0xC0000010)
#define STATUS_MORE_PROCESSING_REQUIRED ((NTSTATUS)0xC0000016)
#define STATUS_BUFFER_TOO_SMALL         ((NTSTATUS)0xC0000023)
#define STATUS_OBJECT_TYPE_MISMATCH     ((NTSTATUS)0xC0000024)
#define STATUS_CRC_ERROR                ((NTSTATUS)0xC000003F)
#define STATUS_REVISION_MISMATCH        ((NTSTATUS)0xC0000059)
#define STATUS_INSUFFICIENT_RESOURCES   ((NTSTATUS)0xC000009A)
#define STATUS_IO_TIMEOUT               ((NTSTATUS)0xC00000B5)
#define STATUS_NOT_SUPPORTED            ((NTSTATUS)0xC00000BB)
#define STATUS_INVALID_PARAMETER_1      ((NTSTATUS)0xC00000EF)
#define STATUS_INVALID_PARAMETER_2      ((NTSTATUS)0xC00000F0)
#define STATUS_INVALID_PARAMETER_3      ((NTSTATUS)0xC00000F1)
#define STATUS_CANCELLED                ((NTSTATUS)0xC0000120)
#define STATUS_INVALID_BUFFER_SIZE      ((NTSTATUS)0xC0000206)
#define STATUS_DEVICE_REMOVED           ((NTSTATUS)0xC00002B6)
#define STATUS_INVALID_SIGNATURE        ((NTSTATUS)0xC000A000)

/* ---- memory descriptor lists ---- */

#ifndef PAGE_SHIFT
#define PAGE_SHIFT 12u
#endif
#ifndef PAGE_SIZE
#define PAGE_SIZE 4096u
#endif

/* A page frame number: a guest physical address divided by 4096. */
typedef UINT64 PFN_NUMBER, *PPFN_NUMBER;

/*
 * One buffer: the pages that hold it, and where in them it starts and how long it is. The array of
 * its page frame numbers follows the structure. Laid out as on 64-bit Windows. Drivers use the
 * accessors below; the members that have none are there for the layout.
 */
typedef struct _MDL {
    struct _MDL *Next; /* of a chain, or NULL */
    CSHORT Size;       /* bytes of this structure and its array, as far as 15 bits hold it */
    CSHORT MdlFlags;
    PVOID Process;
    PVOID MappedSystemVa; /* where the buffer starts, or NULL if it is not mapped */
    PVOID StartVa;        /* of the page in which it starts */
    ULONG ByteCount;
    ULONG ByteOffset; /* of its first byte in its first page */
} MDL, *PMDL;

#ifdef __cplusplus
extern "C" {
#endif

/* Pages that `size` bytes at `address` touch. */
FORCEINLINE SIZE_T ADDRESS_AND_SIZE_TO_SPAN_PAGES(const volatile void *address, SIZE_T size)
{
    const SIZE_T offset = (SIZE_T)((ULONG_PTR)address & (PAGE_SIZE - 1));
    return (offset + size + (PAGE_SIZE - 1)) >> PAGE_SHIFT;
}

/*
 * Bytes of memory that the MDL of a buffer takes. With Base = NULL a buffer of Length bytes that
 * starts at the beginning of a page; for the worst start of any buffer take
 * (PVOID)(PAGE_SIZE - 1). Any IRQL.
 */
FORCEINLINE SIZE_T MmSizeOfMdl(PVOID Base, SIZE_T Length)
{
    return sizeof(MDL) + ADDRESS_AND_SIZE_TO_SPAN_PAGES(Base, Length) * sizeof(PFN_NUMBER);
}

FORCEINLINE PPFN_NUMBER MmGetMdlPfnArray(PMDL Mdl)
{
    return (PPFN_NUMBER)(void *)(Mdl + 1);
}

FORCEINLINE ULONG MmGetMdlByteCount(const MDL *Mdl)
{
    return Mdl->ByteCount;
}

FORCEINLINE ULONG MmGetMdlByteOffset(const MDL *Mdl)
{
    return Mdl->ByteOffset;
}

FORCEINLINE PVOID MmGetMdlVirtualAddress(const MDL *Mdl)
{
    return (PVOID)((ULONG_PTR)Mdl->StartVa + Mdl->ByteOffset);
}

/* NULL if the pages are not mapped. The priority says nothing here. */
FORCEINLINE PVOID MmGetSystemAddressForMdlSafe(const MDL *Mdl, ULONG Priority)
{
    (void)Priority;
    return Mdl->MappedSystemVa;
}

/*
 * Makes memory of MmSizeOfMdl(BaseVa, Length) bytes the MDL of one buffer, without its page frame
 * numbers: fill them in at MmGetMdlPfnArray(), or call MmBuildMdlForNonPagedPool(). The memory, and
 * the buffer, stay the caller's. Any IRQL.
 */
FORCEINLINE VOID MmInitializeMdl(PMDL Mdl, PVOID BaseVa, SIZE_T Length)
{
    Mdl->Next = NULL;
    Mdl->Size = (CSHORT)(MmSizeOfMdl(BaseVa, Length) & 0x7fffu);
    Mdl->MdlFlags = 0;
    Mdl->Process = NULL;
    Mdl->MappedSystemVa = NULL;
    Mdl->StartVa = (PVOID)((ULONG_PTR)BaseVa & ~(ULONG_PTR)(PAGE_SIZE - 1));
    Mdl->ByteCount = (ULONG)Length;
    Mdl->ByteOffset = (ULONG)((ULONG_PTR)BaseVa & (PAGE_SIZE - 1));
}

/*
 * Fills in the page frame numbers of the buffer that MmInitializeMdl() named. All memory of this
 * system is "nonpaged" and mapped: nothing has to be locked. Any IRQL. DDI:
 * wdm MmBuildMdlForNonPagedPool.
 */
VOID MmBuildMdlForNonPagedPool(PMDL Mdl);

#ifdef __cplusplus
}
#endif

#endif
