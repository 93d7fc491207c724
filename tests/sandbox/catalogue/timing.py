"""Group I: time, load and faults of ours. Row 104 in full: tests/slow/test_borderline.py."""

from __future__ import annotations

from codeprm.sandbox.runs import Limits
from tests.sandbox.catalogue.row import PASSED, Row, layers

ROWS = (
    Row(
        id="104a",
        name="0.95 and 1.05 times the limit, alone",
        check="borderline_alone",
        expected=PASSED,
        quiet=True,
        layers=layers("zygote"),
    ),
    Row(
        id="104b",
        name="0.95 and 1.05 times the limit, all slots busy",
        check="borderline_busy",
        expected=PASSED,
        quiet=True,
        layers=layers("zygote"),
    ),
    Row(
        id="105",
        name="sleeps for nine tenths of the wall limit",
        program="import time\ntime.sleep(0.9)\nprint(sum(range(10**5)))",
        cases=(("", "4999950000"),),
        expected=PASSED,
        limits=Limits(cpu_time_s=0.3, wall_time_s=1),
        layers=layers("zygote"),
    ),
    Row(
        id="106a",
        name="too slow by a little, once",
        check="slow_once",
        expected=PASSED,
        layers=layers("zygote"),
    ),
    Row(
        id="106b",
        name="too slow by a little, always",
        check="slow_twice",
        expected=PASSED,
        quiet=True,
        layers=layers("zygote"),
    ),
    Row(
        id="107a",
        name="each process of the slot dies",
        check="deaths_change_nothing",
        expected=PASSED,
        layers=layers("zygote protocol"),
    ),
    Row(
        id="107b",
        name="no descriptors in the parent",
        check="no_descriptors",
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="107c",
        name="the slot stands still for a while",
        check="a_stall_changes_nothing",
        expected=PASSED,
        layers=layers("protocol"),
    ),
    Row(
        id="107d",
        name="no more processes",
        check="no_processes",
        expected=PASSED,
        layers=layers("zygote protocol"),
    ),
    Row(
        id="108a",
        name="the zygote dies while a program runs",
        check="zygote_dies",
        expected=PASSED,
        layers=layers("zygote pid"),
    ),
    Row(
        id="108b",
        name="the owner dies while a program runs that wants to stay",
        check="owner_dies",
        expected=PASSED,
        layers=layers("zygote pid"),
    ),
)
