"""What a run needs of a GPU, against published figures and by recomputing each change it names."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codeprm.errors import ConfigError
from codeprm.recipes.sizing import sizing_lines
from codeprm.recipes.training import GENERATORS, ORMS
from codeprm.training.config import LORA_TARGETS, GeneratorConfig, Lora, OrmConfig, Scaling, Setup
from codeprm.training.fit import GPUS, Case, case_of, fit_of, gpu_gib, needed_gib
from codeprm.training.memory import (
    GIB,
    Work,
    activation_bytes,
    lora_parameters,
    memory_of,
    parameter_count,
)
from codeprm.training.plan import STARCODER2_SHAPES, make_plan, shape_of

SHAPES = {name.rsplit("-", 1)[1]: shape for name, shape in STARCODER2_SHAPES.items()}
ONE = Scaling(workers=1, packing="packed", tokens_per_pass=8192)
WORK = Work(8192)


def a_case(size: str, **scaling: Any) -> Case:
    setup = GENERATORS[f"starcoder2_{size}"]
    scaled = dataclasses.replace(setup.scaling, **scaling)
    return case_of(dataclasses.replace(setup, scaling=scaled), SHAPES[size])


@pytest.mark.parametrize(("size", "gigabytes"), [("3b", 48), ("7b", 115), ("15b", 255)])
def test_states_are_sixteen_bytes_a_parameter(size: str, gigabytes: int) -> None:
    for scaling in (ONE, dataclasses.replace(ONE, gpus=0.0)):
        state = memory_of(SHAPES[size], scaling, WORK).state
        assert state / parameter_count(SHAPES[size]) == pytest.approx(16.0)
        assert state / 1e9 == pytest.approx(gigabytes, abs=1)


def test_zero_divides_what_its_stage_says() -> None:
    shape = SHAPES["3b"]
    found = [
        memory_of(shape, Scaling(workers=8, zero_stage=stage), WORK).state / parameter_count(shape)
        for stage in range(4)
    ]
    assert found == pytest.approx([16.0, 5.5, 3.75, 2.0])


@pytest.mark.parametrize(
    ("size", "fitting"),
    [("3b", {"a100-80", "h100-80", "h200", "b200"}), ("7b", {"h200", "b200"}), ("15b", set())],
)
def test_one_gpu_holds_what_the_figures_say(size: str, fitting: set[str]) -> None:
    case = a_case(size, workers=1, tokens_per_pass=8192)
    assert {gpu for gpu in GPUS if fit_of(case, gpu).fits} == fitting


@pytest.mark.parametrize("setup", [*GENERATORS.values(), *ORMS.values()])
def test_every_published_recipe_fits_eight_h100(setup: Any) -> None:
    if setup.scaling.gpus:
        for size in ("3b", "7b", "15b"):
            zero3 = dataclasses.replace(setup.scaling, zero_stage=3)
            case = case_of(dataclasses.replace(setup, scaling=zero3), SHAPES[size])
            assert fit_of(case, "h100-80").fits


def test_offload_moves_states_to_the_host() -> None:
    shape = SHAPES["15b"]
    memory = memory_of(shape, Scaling(workers=4, offload_optimizer=True), WORK)
    n = parameter_count(shape)
    assert (memory.optimizer, memory.gradients, memory.step) == (0.0, 0.0, 0.0)
    assert memory.weights == pytest.approx(2 * n / 4)
    assert memory.host == pytest.approx(16 * n / 4)
    with pytest.raises(ConfigError, match="offload_optimizer needs ZeRO"):
        Scaling(offload_optimizer=True, zero_stage=0)


def test_a_step_of_stage_3_takes_a_part_at_a_time() -> None:
    memory = memory_of(SHAPES["7b"], ONE, WORK)
    assert memory.step == 8e9
    whole = memory_of(SHAPES["7b"], dataclasses.replace(ONE, zero_stage=0), WORK)
    assert whole.step == 8 * parameter_count(SHAPES["7b"])
    assert whole.peak - whole.state - whole.buffers == whole.step


def test_checkpointing_keeps_two_of_thirty_four_bytes() -> None:
    shape = SHAPES["3b"]
    unit = 1000 * shape.hidden_size
    full = dataclasses.replace(ONE, activation_checkpointing=False)
    assert activation_bytes(shape, full, 1000, has_logits=False) == 34 * 30 * unit
    assert activation_bytes(shape, ONE, 1000, has_logits=False) == (2 * 30 + 34) * unit
    logits = activation_bytes(shape, ONE, 1000) - (2 * 30 + 34) * unit
    assert logits == 10 * 1000 * 49152


def test_adapters_alone_have_gradients_and_moments() -> None:
    shape, lora = SHAPES["15b"], Lora(rank=16, targets="attention")
    # q and o are 6144 x 6144, k and v 6144 x 512
    trained = 40 * 16 * (4 * 6144 + 2 * (6144 + 512))
    assert lora_parameters(shape, lora) == trained
    memory = memory_of(shape, ONE, Work(8192, lora=lora))
    assert memory.state == pytest.approx(2 * parameter_count(shape) + 16 * trained)
    assert lora_parameters(shape, Lora()) == sum(
        lora_parameters(shape, Lora(targets=part)) for part in ("attention", "mlp")
    )
    assert set(LORA_TARGETS["all"]) == {"q_proj", "k_proj", "v_proj", "o_proj", "c_fc", "c_proj"}


def test_a_frozen_trunk_needs_its_weights_and_one_layer() -> None:
    setup = Setup(config=OrmConfig(trunk="frozen"), scaling=ONE)
    memory = case_of(setup, SHAPES["15b"]).memory()
    assert memory.state == 2 * parameter_count(SHAPES["15b"])
    assert fit_of(case_of(setup, SHAPES["15b"]), "h100-80").fits


@settings(deadline=None, max_examples=60, derandomize=True)
@given(
    size=st.sampled_from(["3b", "7b", "15b"]),
    gpu=st.sampled_from(sorted(GPUS)),
    workers=st.sampled_from([1, 2, 4, 8]),
    zero_stage=st.integers(0, 3),
    packing=st.sampled_from(["padded", "packed", "prefix"]),
    is_checkpointed=st.booleans(),
)
def test_no_change_is_named_where_it_fits_and_none_is_larger_than_the_gpu(
    size: str, gpu: str, workers: int, zero_stage: int, packing: str, is_checkpointed: bool
) -> None:
    case = a_case(
        size, workers=workers, zero_stage=zero_stage, packing=packing, micro_batch=4,
        activation_checkpointing=is_checkpointed,
    )  # fmt: skip
    fit = fit_of(case, gpu)
    assert fit.fits == (needed_gib(case) <= gpu_gib(gpu))
    assert not (fit.fits and fit.changes)
    for change in fit.changes:
        sizes = float(change.rsplit("(", 1)[1].removesuffix(" GiB)"))
        if change.endswith("GiB)") and " and nothing else" in change:
            assert gpu_gib(change.split()[1]) >= needed_gib(case)
        else:
            assert sizes <= gpu_gib(gpu) + 0.05


def test_what_would_fit_is_said_one_line_each() -> None:
    fit = fit_of(a_case("7b", workers=1, packing="packed"), "h100-80")
    assert not fit.fits
    heads = [change.split(" (")[0].split(",")[0] for change in fit.changes]
    assert heads == [
        "workers 2",
        "offload_optimizer",
        "lora.rank 16",
        "an h200 and nothing else changed",
    ]
    lines = fit.lines()
    assert lines[0].startswith("gpu: does not fit h100-80, ")
    assert all(line.startswith("would fit: ") for line in lines[1:])


def test_changes_go_together_where_none_is_enough() -> None:
    case = a_case("15b", workers=8, zero_stage=0, activation_checkpointing=False)
    fit = fit_of(case, "a100-40")
    assert fit.changes
    assert fit.changes[0].startswith("zero_stage 3, activation_checkpointing")


def test_what_cannot_fit_is_said_too() -> None:
    setup = Setup(config=OrmConfig(trunk="frozen"), scaling=ONE)
    fit = fit_of(case_of(setup, dataclasses.replace(SHAPES["15b"], layers=400)), "b200")
    assert fit.lines()[1:] == ["would fit: nothing that is known here"]


def test_an_unknown_gpu_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="no GPU 'h10': choose one of a10g-24, a100-40"):
        make_plan(GENERATORS["starcoder2_3b"], examples=10, gpu="h10")


def test_a_plan_with_a_gpu_ends_with_whether_it_fits() -> None:
    plan = make_plan(GENERATORS["starcoder2_15b"], examples=1000, gpu="h100-80")
    assert plan.lines()[-1].startswith("gpu: fits h100-80, ")
    assert plan.state_gib == pytest.approx(2 * plan.parameters / GIB)  # type: ignore[operator]


@pytest.mark.parametrize("name", list(GENERATORS))
def test_a_plan_shows_the_peak_that_is_held_against_the_gpu(name: str) -> None:
    setup = GENERATORS[name]
    plan = make_plan(setup, examples=1000, gpu="h100-80")
    assert plan.fit is not None
    assert plan.needed_gib == plan.fit.needed_gib
    parts = (plan.state_gib, plan.buffers_gib, plan.activations_gib, plan.step_gib)
    state, buffers, activations, step = (part or 0.0 for part in parts)
    peak = state + buffers + max(activations, step)
    assert plan.needed_gib == pytest.approx(peak * 1.05 + 1.5 if setup.scaling.gpus else peak)


def test_the_shape_of_a_checkpoint_is_read_from_its_config(tmp_path: Any) -> None:
    text = (
        '{"model_type": "starcoder2", "vocab_size": 7, "hidden_size": 8, "num_hidden_layers": 2, '
        '"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 16, '
        '"max_position_embeddings": 32}'
    )
    (tmp_path / "config.json").write_text(text)
    shape = shape_of(OrmConfig(model=str(tmp_path)))
    assert shape is not None
    assert (shape.vocab_size, shape.layers, shape.kv_heads, shape.tied) == (7, 2, 2, True)
    assert shape_of(GeneratorConfig(model=str(tmp_path / "nothing"))) is None


def test_the_documented_sizes_are_the_computed_ones() -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    assert "\n".join(sizing_lines()) in text


def test_a_reward_model_has_no_logits_to_hold() -> None:
    generator, orm = (
        case_of(table["starcoder2_15b"], SHAPES["15b"]) for table in (GENERATORS, ORMS)
    )
    saved = generator.memory().activations - orm.memory().activations
    assert saved == 10 * 16384 * 49152
