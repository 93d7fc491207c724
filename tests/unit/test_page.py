"""The page's text: hostile input, what is shown where there is too much, warnings, figures."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import html
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeprm.evaluation.figures.costs import CostPoint, cost_ticks, costs_chart, unbeaten
from codeprm.evaluation.intervals import Interval
from codeprm.evaluation.lineage.followed import Drop
from codeprm.evaluation.page import render_page, report_files
from codeprm.evaluation.page.cautions import cautions
from codeprm.evaluation.page.text import MAX_COLORED_CHARS, highlighted, one_line, visible
from codeprm.evaluation.page.views import drop_words, listed, shown_programs
from codeprm.evaluation.report import Report
from tests.small_run import END_SCRIPT


@pytest.fixture(scope="module")
def report(small: Report) -> Report:
    return small


@pytest.fixture(scope="module")
def files(report: Report) -> dict[str, bytes]:
    return report_files(report)


PIECES = ("def", "'x'", '"""', "#", "\n", "</pre>", "&", "\\", "f{")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)


@settings(deadline=None, derandomize=True, max_examples=150)
@given(ANY_TEXT)
def test_visible_text_has_nothing_that_hides(text: str) -> None:
    shown = visible(text)
    shown.encode()
    hidden = {"\u202e", "\u2066", "\u200b", "\u200f", "\ufeff", "\x00", "\x1b", "\x7f", "\x85"}
    assert not hidden & set(shown)
    assert visible(shown) == shown
    assert all(c in shown for c in text if c.isalnum())


@settings(deadline=None, derandomize=True, max_examples=150)
@given(
    st.one_of(
        ANY_TEXT,
        st.lists(st.sampled_from(PIECES)).map(" ".join),
    )
)
def test_highlighting_changes_no_character(program: str) -> None:
    markup = str(highlighted(program))
    tags = set(re.findall(r"<[^>]*>", markup))
    assert tags <= {"</span>", *(f'<span class="{color}">' for color in "ckmsfb")}
    assert html.unescape(re.sub(r"<[^>]*>", "", markup)) == visible(program)


def test_highlighting_knows_python_and_gives_up_on_what_is_too_long() -> None:
    markup = str(highlighted("def f(x):  # twice\n    return 2 * x\n"))
    for piece in ('<span class="k">def</span>', '<span class="c"># twice</span>', '"m">2<'):
        assert piece in markup
    assert "<span" not in str(highlighted("x = 1\n" * MAX_COLORED_CHARS))


def test_names_are_cut_to_a_line() -> None:
    assert one_line(" a\n b ") == "a b"
    assert one_line("x" * 500, 20) == "x" * 17 + "..."


def test_policy_names_the_only_script(files: dict[str, bytes]) -> None:
    page = files["index.html"].decode()
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src &#39;sha256-{digest}&#39;" in page
    assert "default-src &#39;none&#39;" in page
    assert END_SCRIPT not in page
    assert html.escape(END_SCRIPT, quote=False)[:20] in page


def test_every_figure_comes_as_svg_png_and_csv(files: dict[str, bytes]) -> None:
    names = {name.removesuffix(".svg") for name in files if name.endswith(".svg")}
    assert names == {
        f"figures/{name}"
        for name in (
            "curves", "difficulty", "costs", "selectors", "reliability", "comparison", "funnel",
        )
    }  # fmt: skip
    for name in names:
        ET.fromstring(files[f"{name}.svg"])
        assert files[f"{name}.png"].startswith(b"\x89PNG")
        header, *rows = files[f"{name}.csv"].decode().splitlines()
        assert rows
        assert all(len(row.split(",")) == len(header.split(",")) for row in rows)
    assert list(files)[-1] == "report.json"


def test_inline_figures_follow_the_scheme_and_keep_their_ids_apart(
    files: dict[str, bytes],
) -> None:
    page = files["index.html"].decode()
    drawn = re.findall(r"<svg.*?</svg>", page, re.DOTALL)
    assert len(drawn) == 7
    ids = [name for svg in drawn for name in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids))
    for svg in drawn:
        used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg))
        assert used <= set(re.findall(r' id="([^"]+)"', svg))
        assert "currentColor" in svg
        assert "#0072b2" not in svg
        assert 'width="' not in svg[: svg.index(">")]


def test_problems_are_shown_until_the_page_is_full(report: Report) -> None:
    whole = render_page(report, {})
    part = render_page(report, {}, max_problem_bytes=150_000)
    count = part.count('class="problem"')
    assert 0 < count < whole.count('class="problem"') == 14
    assert f"{14 - count} are not here" in " ".join(part.split())
    none = render_page(report, {}, max_problem_bytes=0)
    assert 'class="problem"' not in none
    assert len(none) < len(part) < len(whole)


def test_programs_are_shown_once_and_the_telling_ones_first(report: Report) -> None:
    problem = next(p for p in report.exhibits.problems if p.name == "Problem 10")
    shown = shown_programs(problem)
    assert (0, 5) in [program.indices for program in shown]  # the same program twice
    assert sorted(index for program in shown for index in program.indices) == list(range(12))
    few = shown_programs(problem, most=6)
    assert len(few) == 6
    chosen = {f.completion.index for f in problem.completions if f.chosen_by}
    assert any("orm" in program.followed.chosen_by for program in few)
    kept = {index for program in few for index in program.indices}
    assert kept <= chosen or chosen <= kept
    assert len(shown_programs(problem, most_chars=1)) == 1


def test_drops_are_counted_and_a_single_one_is_told() -> None:
    drops = [Drop("a", "not_drawn", "x"), Drop("b", "not_drawn", "y"), Drop("c", "too_long", "9")]
    assert drop_words(drops) == ["2 not drawn", "too_long: 9"]
    assert listed(range(10)) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"


def test_cautions_say_what_the_numbers_call_for(report: Report) -> None:
    evaluation = report.evaluation
    texts = cautions(evaluation, report.exhibits.comparison)
    assert any("Only 14 problems" in text for text in texts)
    assert "No score for 1 completion: the reward model chooses such last." in texts
    left_out = dataclasses.replace(evaluation, excluded={"flaky": 30}, n_short=2)
    texts = cautions(left_out)
    assert any("30 of 198 completions" in text for text in texts)
    assert any("2 problems" in text for text in texts)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=12).map(
        lambda pairs: [(float(value), float(cost)) for value, cost in pairs]
    )
)
def test_unbeaten_points_are_those_that_nothing_beats(pairs: list[tuple[float, float]]) -> None:
    values, costs = zip(*pairs, strict=True)
    found = {pairs[at] for at in unbeaten(values, costs)}
    expected = {
        (v, c) for v, c in pairs
        if not any(v2 >= v and c2 <= c and (v2, c2) != (v, c) for v2, c2 in pairs)
    }  # fmt: skip
    assert found == expected


def test_costs_that_do_not_differ_make_no_chart() -> None:
    value = Interval(0.5, 0.4, 0.6)
    points = [CostPoint(name=name, value=value, costs=(1.0, np.nan)) for name in "ab"]
    assert costs_chart(points, ("tokens", "seconds")) is None
    assert cost_ticks([0.0, 0.02, 3.0, 4000.0]) == [0.0, 0.1, 10.0, 1000.0]
    assert cost_ticks([2.0, 4.0]) == [2.0, 4.0]
    assert cost_ticks([0.0, 3.0]) == [0.0, 3.0]
