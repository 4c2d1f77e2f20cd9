# SPDX-License-Identifier: MIT
"""No process of ours outlives the program that started it, however that ends."""
import ctypes
import os
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
