#!/usr/bin/python3
"""packet_path_objects_test ARCHIVE: what the objects of the packet path consist of, by objdump
and nm. No atomic read-modify-write, no fence, no system call; no call but of each other and of
memcpy and its like."""

import os
import re
import subprocess
import sys

import tap

ARCHIVE = sys.argv[1]

# Where a packet passes from duplicate_mark(), sampler_mark() and flow_cache_meter() on, whatever becomes of it.
OBJECTS = (
    "flow_cache", "flow_cache_scalar", "flow_cache_sse42", "flow_cache_avx2", "flow_cache_avx512",
    "flow_cache_evict", "flow_cache_read", "meter", "packet", "packet_link", "duplicate", "sampler",
)
# What they may use besides each other: copies, what a compiler puts in, and what
# flow_cache_init() needs to choose a path and to say EINVAL.
ALLOWED = re.compile(
    r"memcpy|memmove|memset|memcmp|bcmp|__mem\w+_chk|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_"
    r"|__cpu_model|__cpu_indicator_init|strcmp|__errno_location")
FORBIDDEN = re.compile(
    r"\t(?:\w+ )*(lock|xacquire|xrelease|mfence|lfence|sfence|syscall|sysenter|int|rdtsc|rdtscp"
    r"|cmpxchg\w*|xadd\w*)\b|\t(xchg\w*) .*\(")


def run(*command):
    done = subprocess.run(command, capture_output=True, check=True, text=True,
                          env=os.environ | {"LC_ALL": "C"})
    return done.stdout


def symbols(kind):
    """Object -> names, of the archive's objects that are checked."""
    found, name = {}, None
    for line in run("nm", kind, ARCHIVE).splitlines():
        header = re.fullmatch(r"(.*?)(?:\.c)?\.o:", line)
        if header:
            name = os.path.basename(header.group(1))
        elif line.strip() and name in OBJECTS:
            found.setdefault(name, set()).add(line.split()[-1])
    return found


def plain_build():
    undefined = set().union(*symbols("-u").values())
    for symbol in undefined:
        if re.match(r"__(asan|tsan|ubsan|msan|sanitizer|gcov)", symbol):
            raise tap.Skip("sanitizers call their runtime")
    if not symbols("--defined-only"):
        raise tap.Skip("the objects are not machine code")


def test_every_object_of_the_packet_path_is_there():
    plain_build()
    there = set(symbols("--defined-only"))
    missing = {name for name in OBJECTS if name not in there}
    if os.uname().machine == "x86_64":
        assert not missing, missing
    else:
        assert missing <= {"flow_cache_sse42", "flow_cache_avx2", "flow_cache_avx512"}, missing


def test_packet_path_calls_nothing_beyond_itself_but_memcpy_and_its_like():
    plain_build()
    defined = set().union(*symbols("--defined-only").values())
    for name, undefined in symbols("-u").items():
        beyond = {s for s in undefined if s not in defined and not ALLOWED.fullmatch(s)}
        assert not beyond, (name, beyond)


def test_packet_path_has_no_atomic_read_modify_write_no_fence_and_no_system_call():
    plain_build()
    seen, name = set(), None
    for line in run("objdump", "-d", "--no-show-raw-insn", ARCHIVE).splitlines():
        header = re.match(r"(.*?)(?:\.c)?\.o: +file format", line)
        if header:
            name = os.path.basename(header.group(1))
        elif name in OBJECTS and "\t" in line:
            seen.add(name)
            assert not FORBIDDEN.search(line), (name, line)
    assert "flow_cache_evict" in seen and "meter" in seen, seen


def test_what_is_forbidden_would_be_found():
    # As objdump prints them.
    for line in (" 4e0:\tlock add %rax,0x90(%rbx)", "  10:\tmfence", "  12:\tsyscall",
                 "  20:\txchg   %eax,(%rdi)", "  20:\txchg   %ax,0x8(%rdi)", "  2:\tint    $0x80",
                 "  30:\tlock cmpxchg %ecx,(%rdx)", "  31:\trep lock xadd %eax,(%rdi)"):
        assert FORBIDDEN.search(line), line
    for line in ("  20:\txchg   %ax,%ax", "  20:\tmov    %rax,(%rdi)", "  20:\tpause",
                 "  20:\tcall   30 <block>", "  20:\tpinsrd $0x1,%eax,%xmm0"):
        assert not FORBIDDEN.search(line), line


if __name__ == "__main__":
    tap.run_module(dict(globals()))
