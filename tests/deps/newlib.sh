#!/bin/bash
# SPDX-License-Identifier: MIT
# Builds newlib for the freestanding x86-64 guest out of Debian's newlib-source.
# usage: newlib.sh DEPS_FOLDER      result: DEPS_FOLDER/newlib/x86_64-elf/{include,lib}
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=tests/deps/common.sh
. "$here/common.sh"
deps=$(mkdir -p "$1" && cd "$1" && pwd)
prefix=$deps/newlib

# Rebuilt when this recipe, the source or the compiler is another one.
key=$({ cat "$0"; dpkg-query -W newlib-source gcc binutils; } | sha256sum | cut -c1-16)
if [ "$(cat "$prefix/key" 2>/dev/null)" = "$key" ]; then
    exit 0
fi

work=$deps/newlib-work
rm -rf "$work"
mkdir -p "$work/build"
archive=$(echo /usr/src/newlib/newlib-*.tar.xz)
[ -e "$archive" ] || die "the archive of package newlib-source is not in /usr/src/newlib" \
    "apt-get install --reinstall newlib-source"
say "unpacking $(basename "$archive")"
tar -xf "$archive" -C "$work"
source=$(echo "$work"/newlib-*)

# Position independent, no red zone (interrupts use the same stack), and no trace of the Linux the compiler thinks it is for.
cflags="-Os -g0 -fPIE -ffreestanding -mno-red-zone -fcf-protection=none -fno-stack-protector -fno-asynchronous-unwind-tables"
cflags+=" -ffunction-sections -fdata-sections -Ulinux -U__linux -U__linux__ -U__gnu_linux__ -Uunix -U__unix -U__unix__ -w"

say "building newlib (about a minute)"
cd "$work/build"
run_logged "$work/configure.log" "$source/configure" \
    --target=x86_64-elf --prefix="$prefix" --disable-multilib --disable-nls --disable-libgloss \
    --disable-newlib-supplied-syscalls --enable-newlib-reent-small --enable-newlib-nano-malloc \
    --enable-newlib-nano-formatted-io --disable-newlib-fvwrite-in-streamio --disable-newlib-fseek-optimization \
    --enable-lite-exit --enable-newlib-global-atexit --disable-newlib-unbuf-stream-opt \
    CC_FOR_TARGET=gcc AR_FOR_TARGET=ar AS_FOR_TARGET=as LD_FOR_TARGET=ld NM_FOR_TARGET=nm \
    RANLIB_FOR_TARGET=ranlib STRIP_FOR_TARGET=strip OBJCOPY_FOR_TARGET=objcopy OBJDUMP_FOR_TARGET=objdump \
    READELF_FOR_TARGET=readelf CFLAGS_FOR_TARGET="$cflags" MAKEINFO=true ||
    die "newlib could not be configured" "read $work/configure.log"
run_logged "$work/make.log" make -j"$(nproc)" MAKEINFO=true all-target-newlib ||
    die "newlib could not be built" "read $work/make.log"
run_logged "$work/install.log" make MAKEINFO=true DESTDIR="$work/stage" install-target-newlib ||
    die "newlib could not be installed into $work/stage" "read $work/install.log"
[ -e "$work/stage$prefix/x86_64-elf/lib/libc.a" ] ||
    die "newlib's build left no libc.a" "read $work/make.log"
# Newlib's <stdatomic.h> is for another kind of compiler: with gcc's _Atomic it does not compile. Without it gcc's own is found.
rm "$work/stage$prefix/x86_64-elf/include/stdatomic.h"
echo "$key" >"$work/stage$prefix/key"
# Only now, so that a build at work next to this one finds a library at (nearly) all times.
cd "$deps"
rm -rf "$prefix"
mv "$work/stage$prefix" "$prefix"
rm -rf "$work"
say "newlib is in $prefix"
