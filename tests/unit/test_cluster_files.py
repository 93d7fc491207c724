"""What Ray's own schema checks (tests/ray/test_cluster_files.py) let pass in the cluster files."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUBERAY = ("raycluster", "rayjob", "rayservice")
Tree = dict[str, Any]


class Instance(NamedTuple):
    cpus: int
    memory_gib: int
    gpus: int


# From the vendor's tables: the types that cluster.yaml uses or names as an alternative.
INSTANCES = {
    "m7i.2xlarge": Instance(8, 32, 0),
    "c7i.8xlarge": Instance(32, 64, 0),
    "g6e.12xlarge": Instance(48, 384, 4),
    "p5.48xlarge": Instance(192, 2048, 8),
}


def read(name: str) -> Tree:
    tree: Tree = yaml.safe_load((ROOT / name).read_text())
    return tree


@pytest.fixture(scope="module")
def cluster() -> Tree:
    return read("cluster.yaml")


def ray_cluster(name: str) -> Tree:
    spec: Tree = read(f"deploy/kuberay/{name}.yaml")["spec"]
    key = {"raycluster": None, "rayjob": "rayClusterSpec", "rayservice": "rayClusterConfig"}[name]
    return spec[key] if key else spec


def locked(lock: str, package: str) -> str:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    match = re.search(rf"^{package}==(\S+)$", text, re.MULTILINE)
    assert match, f"{package} is not in {lock}.txt"
    return match[1]


def docker_argument(name: str) -> str:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    match = re.search(rf"^ARG {name}=(\S+)$", text, re.MULTILINE)
    assert match
    return match[1]


def test_only_workers_are_spot(cluster: Tree) -> None:
    types = cluster["available_node_types"]
    spot = {name for name, t in types.items() if "InstanceMarketOptions" in t["node_config"]}
    assert spot == set(types) - {cluster["head_node_type"]}


def test_pools_are_labelled_and_only_one_has_gpus(cluster: Tree) -> None:
    types = cluster["available_node_types"]
    assert {name: t["labels"]["pool"] for name, t in types.items()} == {n: n for n in types}
    assert [name for name, t in types.items() if t["resources"]["GPU"]] == ["gpu"]


def test_resources_are_those_of_the_instance(cluster: Tree) -> None:
    for name, node_type in cluster["available_node_types"].items():
        instance = INSTANCES[node_type["node_config"]["InstanceType"]]
        cpus = 0 if name == cluster["head_node_type"] else instance.cpus
        assert node_type["resources"] == {"CPU": cpus, "GPU": instance.gpus}, name


def test_worker_counts_add_up(cluster: Tree) -> None:
    workers = [t for n, t in cluster["available_node_types"].items() if n != "head"]
    assert all(0 <= t["min_workers"] <= t["max_workers"] for t in workers)
    assert cluster["max_workers"] == sum(t["max_workers"] for t in workers)


def test_shared_memory_holds_the_object_store(cluster: Tree) -> None:
    for name, node_type in cluster["available_node_types"].items():
        docker = cluster["docker"] if name == "head" else node_type["docker"]
        options = docker["head_run_options" if name == "head" else "worker_run_options"]
        sizes = [option for option in options if option.startswith("--shm-size=")]
        assert len(sizes) == 1
        shm_gib = int(sizes[0].removeprefix("--shm-size=").removesuffix("g"))
        memory_gib = INSTANCES[node_type["node_config"]["InstanceType"]].memory_gib
        assert 0.3 * memory_gib <= shm_gib <= 0.5 * memory_gib, name


def test_only_the_pool_that_runs_programs_is_opened(cluster: Tree) -> None:
    docker = dict(cluster["docker"])
    opened = [o for options in docker.values() if isinstance(options, list) for o in options]
    assert not [option for option in opened if "security-opt" in option]
    for name, node_type in cluster["available_node_types"].items():
        options = node_type.get("docker", {}).get("worker_run_options", [])
        unconfined = "--security-opt seccomp=unconfined" in options
        assert unconfined == (name == "cpu")


def test_image_names_the_versions_that_it_holds(cluster: Tree) -> None:
    version, ray, python = cluster["docker"]["image"].rpartition(":")[2].split("-")
    assert version in (ROOT / "codeprm" / "__init__.py").read_text()
    assert ray == f"ray{locked('gpu', 'ray')}"
    assert python == f"py{docker_argument('PYTHON_VERSION').replace('.', '')}"
    assert cluster["docker"]["image"] in (ROOT / "deploy" / "Dockerfile").read_text()


def test_image_has_the_cuda_of_its_torch() -> None:
    text = (ROOT / "deploy" / "Dockerfile").read_text()
    base = re.search(r"^FROM nvidia/cuda:(\d+\.\d+)\.", text, re.MULTILINE)
    assert base
    assert locked("gpu", "cuda-toolkit").startswith(f"{base[1]}.")


def test_runtime_env_holds_no_secret() -> None:
    names = read("runtime_env.yaml")["env_vars"]
    assert not [n for n in names if re.search(r"(KEY|TOKEN|SECRET|PASSWORD)$", n)]
    assert all(isinstance(value, str) for value in names.values())


GROUP = {
    "type": "object",
    "required": ["labels", "rayStartParams", "template"],
    "properties": {
        "groupName": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "replicas": {"type": "integer", "minimum": 0},
        "minReplicas": {"type": "integer", "minimum": 0},
        "maxReplicas": {"type": "integer", "minimum": 1},
        "rayStartParams": {"type": "object", "additionalProperties": {"type": "string"}},
        "template": {
            "type": "object",
            "required": ["spec"],
            "properties": {
                "spec": {
                    "type": "object",
                    "required": ["containers", "volumes", "securityContext"],
                    "properties": {
                        "containers": {
                            "type": "array",
                            "minItems": 1,
                            "maxItems": 1,
                            "items": {
                                "type": "object",
                                "required": ["name", "image", "resources", "volumeMounts"],
                            },
                        }
                    },
                }
            },
        },
    },
    "additionalProperties": False,
}
RAY_CLUSTER = {
    "type": "object",
    "required": ["rayVersion", "headGroupSpec", "workerGroupSpecs"],
    "properties": {
        "rayVersion": {"type": "string"},
        "enableInTreeAutoscaling": {"const": True},
        "autoscalerOptions": {
            "type": "object",
            "properties": {
                "version": {"const": "v2"},
                "idleTimeoutSeconds": {"type": "integer"},
            },
            "additionalProperties": False,
        },
        "headGroupSpec": GROUP,
        "workerGroupSpecs": {
            "type": "array",
            "minItems": 1,
            "items": {
                "allOf": [
                    GROUP,
                    {"required": ["groupName", "replicas", "minReplicas", "maxReplicas"]},
                ]
            },
        },
    },
    "additionalProperties": False,
}
SPECS = {
    "RayCluster": RAY_CLUSTER,
    "RayJob": {
        "type": "object",
        "required": ["entrypoint", "rayClusterSpec"],
        "properties": {
            "entrypoint": {"type": "string"},
            "runtimeEnvYAML": {"type": "string"},
            "submissionMode": {"enum": ["K8sJobMode", "HTTPMode", "SidecarMode"]},
            "backoffLimit": {"type": "integer", "minimum": 1},
            "shutdownAfterJobFinishes": {"const": True},
            "ttlSecondsAfterFinished": {"type": "integer"},
            "rayClusterSpec": RAY_CLUSTER,
        },
        "additionalProperties": False,
    },
    "RayService": {
        "type": "object",
        "required": ["serveConfigV2", "rayClusterConfig"],
        "properties": {"serveConfigV2": {"type": "string"}, "rayClusterConfig": RAY_CLUSTER},
        "additionalProperties": False,
    },
}


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_structure(name: str) -> None:
    resource = read(f"deploy/kuberay/{name}.yaml")
    assert set(resource) == {"apiVersion", "kind", "metadata", "spec"}
    assert resource["apiVersion"] == "ray.io/v1"
    assert resource["kind"].lower() == name
    jsonschema.validate(resource["spec"], SPECS[resource["kind"]])


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_groups_hold_together(name: str, cluster: Tree) -> None:
    spec = ray_cluster(name)
    assert spec["rayVersion"] == locked("gpu", "ray")
    assert spec["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        [container], [shm] = pod["containers"], pod["volumes"]
        assert container["image"] == cluster["docker"]["image"]
        assert container["volumeMounts"] == [{"name": shm["name"], "mountPath": "/dev/shm"}]
        assert shm["emptyDir"]["medium"] == "Memory"
        assert gib(shm["emptyDir"]["sizeLimit"]) >= 0.3 * gib(container["resources"]["limits"])
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert group["labels"]["pool"] == group.get("groupName", "head")
        has_gpus = "nvidia.com/gpu" in container["resources"]["limits"]
        assert has_gpus == (group["labels"]["pool"] == "gpu")
        unconfined = container.get("securityContext", {}).get("seccompProfile")
        assert (unconfined == {"type": "Unconfined"}) == (group["labels"]["pool"] == "cpu")


def gib(size: str | Tree) -> int:
    text = size if isinstance(size, str) else size["memory"]
    return int(text.removesuffix("Gi"))


def test_kuberay_job_runs_on_the_same_cluster_with_the_same_settings() -> None:
    assert ray_cluster("rayjob") == ray_cluster("raycluster")
    settings = yaml.safe_load(read("deploy/kuberay/rayjob.yaml")["spec"]["runtimeEnvYAML"])
    full = read("runtime_env.yaml")
    assert settings == {key: full[key] for key in ("env_vars", "config")}


def test_kuberay_service_serves_what_serve_yaml_serves() -> None:
    served = yaml.safe_load(read("deploy/kuberay/rayservice.yaml")["spec"]["serveConfigV2"])
    assert served == read("deploy/serve.yaml")
    [deployment] = served["applications"][0]["deployments"]
    [pool] = ray_cluster("rayservice")["workerGroupSpecs"]
    assert pool["maxReplicas"] >= deployment["autoscaling_config"]["max_replicas"]
    assert deployment["ray_actor_options"]["label_selector"] == pool["labels"]
