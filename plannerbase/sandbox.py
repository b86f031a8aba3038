"""What a process that reads a stranger's file may still do: take limited memory, time and files, read the files that
it was given, write into one folder, and nothing else.

Limits of resources hold on every Unix. Landlock (Linux 5.13) closes the file system and TCP; a seccomp filter closes
all other calls that reach out of the process: sockets, other programs, other processes, permissions of files. Both are
set by the process itself and cannot be taken back. `protection` says what the kernel of this machine has; where it has
neither, a process of its own with limits is what remains.

References: kernel.org, Documentation/userspace-api/landlock.rst and seccomp_filter.rst.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_GET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 21, 38
SECCOMP_MODE_FILTER = 2
SIGKILL = 9
EPERM, ENOSYS = 1, 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same numbers on every machine
RULE_PATH_BENEATH = 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | 1 << 14 | 1 << 15
RIGHTS = {
    1: (1 << 13) - 1,
    2: (1 << 14) - 1,
    3: (1 << 15) - 1,
    5: (1 << 16) - 1,
}  # by the version that brought them
NETWORK = 0b11  # TCP bind and connect, version 4
SCOPES = 0b11  # abstract sockets and signals of others, version 6
CLONE_THREAD = 0x10000
SYSTEM_FOLDERS = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo",
                  "/etc/ld.so.cache", "/dev/null", "/dev/urandom")  # fmt: skip

# calls by machine: (audit number, clone, clone3, tgkill, those that are refused)
_X86 = """
socket 41 connect 42 accept 43 bind 49 listen 50 socketpair 53 accept4 288 execve 59 execveat 322
fork 57 vfork 58 ptrace 101 kill 62 tkill 200 process_vm_readv 310 process_vm_writev 311
pidfd_open 434 pidfd_getfd 438 pidfd_send_signal 424 rt_sigqueueinfo 129 rt_tgsigqueueinfo 297
unshare 272 setns 308 mount 165 umount2 166 pivot_root 155 chroot 161 bpf 321 perf_event_open 298
io_uring_setup 425 userfaultfd 323 add_key 248 request_key 249 keyctl 250 init_module 175
finit_module 313 delete_module 176 kexec_load 246 open_by_handle_at 304 name_to_handle_at 303
chmod 90 fchmod 91 fchmodat 268 fchmodat2 452 chown 92 fchown 93 lchown 94 fchownat 260 setxattr 188
lsetxattr 189 fsetxattr 190 removexattr 197 lremovexattr 198 fremovexattr 199 utime 132 utimes 235
futimesat 261 utimensat 280 shmget 29 shmat 30 msgget 68 semget 64 mq_open 240 setpriority 141
sched_setaffinity 203 open_tree 428 move_mount 429 fsopen 430 fsmount 432 mount_setattr 442
process_madvise 440 process_mrelease 448 memfd_create 319
"""
_ARM = """
socket 198 socketpair 199 bind 200 listen 201 accept 202 connect 203 accept4 242 execve 221
execveat 281 ptrace 117 kill 129 tkill 130 process_vm_readv 270 process_vm_writev 271 pidfd_open 434
pidfd_getfd 438 pidfd_send_signal 424 rt_sigqueueinfo 138 rt_tgsigqueueinfo 240 unshare 97 setns 268
mount 40 umount2 39 pivot_root 41 chroot 51 bpf 280 perf_event_open 241 io_uring_setup 425
userfaultfd 282 add_key 217 request_key 218 keyctl 219 init_module 105 finit_module 273
delete_module 106 kexec_load 104 open_by_handle_at 265 name_to_handle_at 264 fchmod 52 fchmodat 53
fchmodat2 452 fchownat 54 fchown 55 setxattr 5 lsetxattr 6 fsetxattr 7 removexattr 14
lremovexattr 15 fremovexattr 16 utimensat 88 shmget 194 shmat 196 msgget 186 semget 190 mq_open 180
setpriority 140 sched_setaffinity 122 open_tree 428 move_mount 429 fsopen 430 fsmount 432
mount_setattr 442 process_madvise 440 process_mrelease 448 memfd_create 279
"""
MACHINES = {"x86_64": (0xC000003E, 56, 435, 234, _X86), "aarch64": (0xC00000B7, 220, 435, 131, _ARM)}


@dataclass(frozen=True)
class Limits:
    """Of one process: bytes of memory beyond what it has, seconds of processor, open files, bytes of a file that it
    writes."""

    memory_bytes: int
    cpu_seconds: int
    open_files: int = 256
    file_bytes: int = 2_000_000_000


@dataclass(frozen=True)
class Protection:
    """What holds a reading process on this machine. landlock: version of its interface, 0 where there is none."""

    apart: bool
    landlock: int
    seccomp: bool

    def __str__(self) -> str:
        if not self.apart:
            return "Files are read in the server's own process: this system cannot fork."
        parts = ["Files are read in a process of their own with limits on memory, time and files"]
        if self.landlock:
            network = ", no TCP" if self.landlock >= 4 else ""
            parts.append(f"Landlock {self.landlock} (only the file itself can be read{network})")
        if self.seccomp:
            parts.append("a seccomp filter (no sockets, programs, or signals to others)")
        lacking = [
            name for name, there in (("Landlock", self.landlock), ("seccomp", self.seccomp)) if not there
        ]
        return "; ".join(parts) + (f". This kernel lacks {' and '.join(lacking)}." if lacking else ".")


def protection() -> Protection:
    """What this machine has."""
    if not hasattr(os, "fork"):
        return Protection(False, 0, False)
    if not sys.platform.startswith("linux"):
        return Protection(True, 0, False)
    filters = platform.machine() in MACHINES and _libc().prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0
    return Protection(True, _landlock_version(), filters)


def program_folders(packages: Iterable[str] = ()) -> list[Path]:
    """Where the interpreter, the libraries and these packages lie, which a reader loads as it needs them."""
    paths = sysconfig.get_paths()
    found = [Path(paths[name]) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    for package in packages:
        module = sys.modules.get(package.partition(".")[0])
        found += [Path(place) for place in getattr(module, "__path__", ())]
    return [path for path in dict.fromkeys([*found, *map(Path, SYSTEM_FOLDERS)]) if path.exists()]


def limit_resources(limits: Limits) -> None:
    """Set what the operating system holds a process to."""
    import resource

    held = _virtual_bytes()
    wanted = {
        resource.RLIMIT_AS: held + limits.memory_bytes,
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_STACK: 64_000_000,
    }
    for kind, most in wanted.items():
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def close_in(readable: Iterable[Path], writable: Iterable[Path]) -> Protection:
    """Take from this process everything but reading `readable` and writing below `writable`. Raises OSError where the
    kernel has a means and it cannot be set."""
    has = protection()
    if not sys.platform.startswith("linux"):
        return has
    libc = _libc()
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    _drop_capabilities(libc)
    if has.landlock:
        _restrict_files(libc, has.landlock, readable, writable)
    if has.seccomp:
        _filter_calls(libc)
    return has


def end_with_parent() -> None:
    """Let this process be killed when the one that made it ends (Linux)."""
    if sys.platform.startswith("linux"):
        _libc().prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _virtual_bytes() -> int:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 2_000_000_000
    return pages * os.sysconf("SC_PAGE_SIZE")


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """What root may do beyond others; for another user there is nothing to drop."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    _checked(libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)())), "capset")


# --- Landlock ----------------------------------------------------------------------------------------------------


def _landlock_version() -> int:
    found = _libc().syscall(CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(1))
    return max(0, int(found))


def _restrict_files(
    libc: ctypes.CDLL, version: int, readable: Iterable[Path], writable: Iterable[Path]
) -> None:
    every = max(rights for since, rights in RIGHTS.items() if since <= version)
    fields = [every, NETWORK if version >= 4 else 0, SCOPES if version >= 6 else 0]
    attribute = struct.pack("=QQQ", *fields)[: 8 if version < 4 else 16 if version < 6 else 24]
    ruleset = _checked(
        libc.syscall(CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), ctypes.c_uint32(0)),
        "Landlock",
    )
    try:
        for path in readable:
            _allow(libc, ruleset, path, READ_FILE | READ_DIR)
        for path in writable:
            _allow(libc, ruleset, path, every & ~EXECUTE)
        _checked(libc.syscall(RESTRICT_SELF, ruleset, ctypes.c_uint32(0)), "Landlock")
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            rights &= OF_FILES
        rule = struct.pack("=Qi", rights, place)
        _checked(
            libc.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, rule, ctypes.c_uint32(0)), f"Landlock {path}"
        )
    finally:
        os.close(place)


# --- seccomp -----------------------------------------------------------------------------------------------------

LOAD, EQUAL, SET_BITS, RETURN, GREATER_OR_EQUAL = 0x20, 0x15, 0x45, 0x06, 0x35  # of classic BPF
ALLOW, ERRNO, KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
CALL, MACHINE, FIRST_ARGUMENT = 0, 4, 16  # offsets in seccomp_data
X32 = 0x40000000


def _filter_calls(libc: ctypes.CDLL) -> None:
    audit, clone, clone3, tgkill, table = MACHINES[platform.machine()]
    words = table.split()
    refused = sorted({int(number) for number in words[1::2]})
    code: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, MACHINE),
        (EQUAL, 1, 0, audit),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, CALL),
    ]
    if platform.machine() == "x86_64":
        code += [(GREATER_OR_EQUAL, 0, 1, X32), (RETURN, 0, 0, KILL_PROCESS)]
    code += [
        (EQUAL, 0, 1, clone3),
        (RETURN, 0, 0, ERRNO | ENOSYS),
    ]  # then libraries use clone, which can be looked into
    for number in refused:
        code += [(EQUAL, 0, 1, number), (RETURN, 0, 0, ERRNO | EPERM)]
    # signals to itself, as `abort` sends, and threads of its own
    code += [
        (EQUAL, 0, 4, tgkill),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (EQUAL, 0, 1, os.getpid()),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ERRNO | EPERM),
        (EQUAL, 1, 0, clone),
        (RETURN, 0, 0, ALLOW),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (SET_BITS, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, ERRNO | EPERM),
        (RETURN, 0, 0, ALLOW),
    ]
    instructions = b"".join(struct.pack("=HBBI", *step) for step in code)
    buffer = ctypes.create_string_buffer(instructions, len(instructions))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    program = Program(len(code), ctypes.addressof(buffer))
    _checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


if __name__ == "__main__":
    print(protection())
