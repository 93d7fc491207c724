"""The cluster files against Ray's own schemas, without a cloud account."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.runtime_env import RuntimeEnv
from ray.serve.schema import ServeDeploySchema

ROOT = Path(__file__).parents[2]


def read(name: str) -> dict[str, Any]:
    tree: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return tree


def test_cluster_is_what_the_launcher_reads() -> None:
    config = prepare_config(read("cluster.yaml"))
    validate_config(config)
    assert set(config["available_node_types"]) == {"head", "cpu", "gpu"}


def test_launcher_refuses_a_misspelt_key() -> None:
    config = read("cluster.yaml")
    config["available_node_types"]["cpu"]["max_worker"] = 1
    with pytest.raises(Exception, match="max_worker"):
        validate_config(prepare_config(config))


def test_serve_file_is_what_serve_reads() -> None:
    config = ServeDeploySchema.model_validate(read("deploy/serve.yaml"))
    [application] = config.applications
    assert application.import_path == "codeprm.distributed.serve:build_app"
    [deployment] = application.deployments
    assert deployment.name == "Orm"
    assert set(application.args) == {"model"}


def test_runtime_env_is_what_jobs_read() -> None:
    settings = read("runtime_env.yaml")
    settings["working_dir"] = str(ROOT)
    assert RuntimeEnv(**settings)["config"]["setup_timeout_seconds"] == 1200
