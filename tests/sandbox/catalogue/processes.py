"""Group A: processes and CPU time."""

from __future__ import annotations

from codeprm.records import Outcome
from codeprm.sandbox.runs import Limits
from tests.sandbox.catalogue.row import (
    ASLEEP,
    BUSY,
    PASSED,
    ROOMY,
    RUNTIME,
    TIME,
    Between,
    Row,
    always,
    layers,
)
from tests.sandbox.catalogue.snippets import ATTEMPT, RAW, number_of

# Bounded: where it is allowed to, it does no more than show that.
FORK_BOMB = """
import os, time
for _ in range(300):
    if os.fork() == 0:
        time.sleep(3)
        os._exit(0)
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
"""
MANY_THREADS = """
import threading, time
for _ in range(10**5):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
BUSY_THREADS = """
import threading
for _ in range(32):
    threading.Thread(target=sum, args=(iter(int, 1),)).start()
"""
DEAF = """
import signal
for number in (signal.SIGXCPU, signal.SIGALRM, signal.SIGTERM, signal.SIGVTALRM):
    signal.signal(number, signal.SIG_IGN)
while True: pass
"""
EATS_EVERYTHING = """
while True:
    try:
        while True: pass
    except BaseException:
        continue
"""
TIMER_STORM = """
import signal
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 1e-6, 1e-6)
while True: pass
"""
HIGHER_PRIORITY = f"""{ATTEMPT}
print(attempt(os.nice, -20))
print(attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)))
"""
ANOTHER_CORE = f"""{ATTEMPT}
cores = os.sched_getaffinity(0)
attempt(os.sched_setaffinity, 0, {{max(cores)}})
print(len(cores))
"""

ROWS = (
    Row(
        id="1a",
        name="fork bomb",
        program=FORK_BOMB,
        expected=RUNTIME,
        layers=layers("seccomp rlimit"),
        dangerous=True,
    ),
    Row(
        id="1b",
        name="fork, by system call",
        program=f"""{RAW}
answers = [call({number_of("vfork")}), call({number_of("clone")}, 17, 0, 0, 0, 0)]
if 0 in answers: os._exit(0)
print(*answers)
""",
        cases=(("", "EPERM EPERM"),),
        expected=PASSED,
        layers=layers("seccomp"),
    ),
    Row(
        id="2",
        name="daemon that leaves its session",
        program=DAEMON,
        expected=RUNTIME,
        layers=layers("seccomp pid zygote"),
        dangerous=True,
    ),
    Row(
        id="3",
        name="100,000 sleeping threads",
        program=MANY_THREADS,
        expected=RUNTIME,
        limits=ROOMY,
        layers=layers("rlimit"),
    ),
    # The limit decides what is too slow, exactly (row 104); a run is only stopped where it is too
    # slow beyond doubt, at 1.2 times the limit or, on a busy machine, at twice: `sandbox.timing`.
    Row(
        id="4",
        name="endless loop",
        program="while True: pass",
        expected=TIME,
        limits=BUSY,
        cpu_s=Between(0.95 * 0.4, 2.1 * 0.4),
        layers=layers("zygote"),
    ),
    Row(
        id="5",
        name="32 busy threads",
        program=BUSY_THREADS,
        expected=TIME,
        limits=BUSY,
        cpu_s=Between(0.95 * 0.4, 2.2 * 0.4),
        layers=layers("zygote"),
    ),
    Row(
        id="6",
        name="ignores every signal of time",
        program=DEAF,
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote"),
    ),
    Row(
        id="7",
        name="catches everything",
        program=EATS_EVERYTHING,
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote"),
    ),
    Row(
        id="8a",
        name="power tower",
        program="x = 9**9**9",
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote"),
    ),
    Row(
        id="8b",
        name="one long C call",
        program="pow(3, 10**7) % 7 + len(str(7**(10**7)))",
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote"),
    ),
    Row(
        id="9",
        name="catastrophic regular expression",
        program="import re; re.match('(a+)+$', 'a' * 40 + 'b')",
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote"),
    ),
    Row(
        id="10",
        name="sleeps for an hour",
        program="import time; time.sleep(3600)",
        expected=TIME,
        limits=ASLEEP,
        cpu_s=Between(0, 0.3),
        layers=layers("zygote"),
    ),
    Row(
        id="11",
        name="reads a pipe that nobody writes",
        program="import os\nreader, writer = os.pipe()\nos.read(reader, 1)",
        expected=TIME,
        limits=ASLEEP,
        cpu_s=Between(0, 0.3),
        layers=layers("zygote"),
    ),
    Row(
        id="12",
        name="stops itself",
        program="import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        expected=TIME,
        limits=ASLEEP,
        layers=layers("zygote"),
    ),
    Row(
        id="13",
        name="higher priority, real time",
        program=HIGHER_PRIORITY,
        cases=(("", "EPERM\nEPERM"),),
        expected=PASSED,
        layers=layers("seccomp uid"),
        works_outside=True,
    ),
    # The next test sees all cores again, whether the call is refused or only had its own effect.
    Row(
        id="14",
        name="moves to another core",
        program=ANOTHER_CORE,
        cases=(("", "@cores@"), ("", "@cores@")),
        expected=PASSED,
        layers=layers("seccomp zygote"),
    ),
    Row(
        id="15",
        name="a signal each microsecond",
        program=TIMER_STORM,
        expected=TIME,
        limits=BUSY,
        layers=layers("zygote"),
    ),
    # The catalogue allows both: it fails, or it kills and is recorded.
    Row(
        id="16a",
        name="becomes a shell",
        program=f"{ATTEMPT}print(attempt(os.execv, '/bin/sh', ['sh', '-c', 'echo shell']))",
        cases=(("", "EPERM"),),
        expected=always(Outcome.PASSED, Outcome.SECURITY),
        layers=layers("seccomp mnt landlock"),
        works_outside=True,
    ),
    Row(
        id="16b",
        name="becomes another program, by descriptor",
        program=f"""{RAW}
null = ctypes.c_void_p()
print(call({number_of("execveat")}, 0, b"", null, null, 0x1000))
""",
        cases=(("", "EPERM"),),
        expected=always(Outcome.PASSED, Outcome.SECURITY),
        layers=layers("seccomp"),
    ),
    Row(
        id="16c",
        name="spawns",
        program=f"{ATTEMPT}print(attempt(os.posix_spawn, '/bin/true', ['true'], {{}}))",
        cases=(("", "EPERM"),),
        expected=PASSED,
        layers=layers("seccomp"),
        works_outside=True,
    ),
    Row(
        id="17a",
        name="another Python",
        program="import subprocess, sys; subprocess.run([sys.executable, '-c', '1'], check=True)",
        expected=RUNTIME,
        layers=layers("seccomp"),
        works_outside=True,
    ),
    Row(
        id="17b",
        name="a shell command",
        program="import os; print('ran' if os.system('true') == 0 else 'refused')",
        cases=(("", "refused"),),
        expected=PASSED,
        layers=layers("seccomp"),
        works_outside=True,
    ),
    Row(
        id="17c",
        name="multiprocessing",
        program="import multiprocessing; multiprocessing.Process(target=print).start()",
        expected=RUNTIME,
        limits=Limits(cpu_time_s=2, memory_mb=256),
        layers=layers("seccomp"),
        works_outside=True,
    ),
)
