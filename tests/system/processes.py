# SPDX-License-Identifier: MIT
"""No process of ours outlives the program that started it, however that ends; and what comes from one is read as it comes."""
import ctypes
import os
import selectors
import signal

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_parent = os.getpid()


def die_with_parent():
    """For Popen's preexec_fn: the kernel kills this process when its parent is gone; ^C on the terminal is the parent's."""
    os.setsid()
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != _parent:
        os._exit(1)


def read_all(takers):
    """Reads files, each until its end, and hands what comes to its function: {file: function(bytes)}. Of files that have something at
    the same time those that stand first are read first."""
    order = list(takers)
    with selectors.DefaultSelector() as selector:
        for file, take in takers.items():
            selector.register(file, selectors.EVENT_READ, take)
        while selector.get_map():
            for key, _ in sorted(selector.select(), key=lambda ready: order.index(ready[0].fileobj)):
                try:
                    data = os.read(key.fd, 1 << 16)
                except OSError:  # the other end went while something was on its way to it
                    data = b""
                if data:
                    key.data(data)
                else:
                    selector.unregister(key.fileobj)
