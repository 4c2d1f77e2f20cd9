/* SPDX-License-Identifier: MIT */
/* UEFI's graphics output: UEFI Specification 12.9. */
#include "boot/uefi.h"

static uint32_t bytes_for(uint32_t mask)
{
    return mask == 0 ? 0 : (31 - (uint32_t)__builtin_clz(mask)) / 8 + 1;
}

/* Pixels of masks are as long as the highest bit of any of them says. */
static bool take_format(struct framebuffer *framebuffer,
                        const struct efi_graphics_information *information)
{
    framebuffer->bytes_per_pixel = 4;
    framebuffer->green = 0x00ff00;
    switch (information->format) {
    case EFI_PIXEL_RGBX:
        framebuffer->red = 0x0000ff;
        framebuffer->blue = 0xff0000;
        return true;
    case EFI_PIXEL_BGRX:
        framebuffer->red = 0xff0000;
        framebuffer->blue = 0x0000ff;
        return true;
    case EFI_PIXEL_MASKS:
        framebuffer->red = information->red_mask;
        framebuffer->green = information->green_mask;
        framebuffer->blue = information->blue_mask;
        framebuffer->bytes_per_pixel =
            bytes_for(information->red_mask | information->green_mask | information->blue_mask |
                      information->reserved_mask);
        return true;
    default:
        return false;
    }
}

const char *uefi_take_graphics(struct framebuffer *framebuffer,
                               const struct efi_graphics_mode *mode,
                               const struct efi_graphics_information *information)
{
    *framebuffer = (struct framebuffer){
        .base = mode->framebuffer_base,
        .size = mode->framebuffer_size,
        .width = information->width,
        .height = information->height,
        .pixels_per_line = information->pixels_per_line,
    };
    const char *why = NULL;
    if (!take_format(framebuffer, information)) {
        why = "no console on the screen: firmware gives no framebuffer";
    } else if (!framebuffer_is_valid(framebuffer)) {
        why = "no console on the screen: what firmware says of its framebuffer makes no sense";
    }
    if (why != NULL) {
        *framebuffer = (struct framebuffer){0};
    }
    return why;
}
