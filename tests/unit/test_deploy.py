"""The files of deploy/: their form, their settings, and the metrics that alerts ask for."""

import re
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from zimun.booking.counters import Counters
from zimun.config import Settings, load
from zimun.storage.hold_counts import HoldCounts
from zimun.telemetry.calls import CallObserver
from zimun.telemetry.metrics import ServerCollector, Sources, registry

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = [
    document
    for file in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for document in yaml.safe_load_all(file.read_text())
]
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
OURS = [name for name in COMPOSE["services"] if name != "database"]
NOT_SETTINGS = {"ZIMUN_DATABASE_PASSWORD"}


def collector() -> ServerCollector:
    observer = CallObserver()
    sources = Sources(
        lambda: observer.methods,
        lambda: 0,
        Counters(),
        lambda: 0,
        lambda: 0,
        dict,
        dict,
        dict,
        dict,
    )
    made = ServerCollector(sources)
    made.holds = HoldCounts(0, 0)
    return made


def metric_names() -> set[str]:
    """Every name of a sample that a server may tell."""
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {
        family.name + suffix
        for family in registry(collector()).collect()
        for suffix in suffixes.get(family.type, ())
    }


@pytest.mark.parametrize(
    "manifest", MANIFESTS, ids=lambda one: f"{one['kind']} {one['metadata']['name']}"
)
def test_manifest_fits_its_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, "1.37", strict=True)


@pytest.mark.parametrize(
    "pod",
    [one["spec"]["template"]["spec"] for one in MANIFESTS if one["kind"] == "Deployment"],
    ids=lambda one: one["containers"][0]["name"],
)
def test_pods_run_without_root_on_a_read_only_file_system(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert not pod["enableServiceLinks"]
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


def test_images_have_the_version_of_the_package() -> None:
    images = {
        container["image"]
        for one in MANIFESTS
        if one["kind"] == "Deployment"
        for container in one["spec"]["template"]["spec"]["containers"]
    }
    assert images == {f"zimun:{version('zimun')}"}


def test_every_deployment_has_a_disruption_budget() -> None:
    named = {
        kind: {one["metadata"]["name"] for one in MANIFESTS if one["kind"] == kind}
        for kind in ("Deployment", "PodDisruptionBudget")
    }
    assert named["Deployment"] == named["PodDisruptionBudget"]


@pytest.mark.parametrize("name", OURS)
def test_containers_run_without_root_on_a_read_only_file_system(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["user"].split(":")[0] == "10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


def test_every_variable_is_a_setting() -> None:
    known = {f"ZIMUN_{one.name.upper()}" for one in fields(Settings)} | NOT_SETTINGS
    files = [file for file in DEPLOY.rglob("*") if file.is_file()]
    for file in (*files, ROOT / "docs/operations.md"):
        named = set(re.findall(r"ZIMUN_[A-Z_]*[A-Z]", file.read_text()))
        assert named <= known, file


def test_alerts_and_documents_name_metrics_that_exist() -> None:
    known = metric_names()
    rules = (DEPLOY / "prometheus/zimun-rules.yaml").read_text()
    asked = set(re.findall(r"\b(?:zimun|process)_\w+", rules))
    assert asked
    assert asked <= known
    told = set(re.findall(r"`(zimun_\w+)", (ROOT / "docs/operations.md").read_text()))
    families = {family.name for family in registry(collector()).collect()}
    assert told <= known | families
    assert {name for name in families if name.startswith("zimun_")} <= {
        name.removesuffix("_total") for name in told
    }


def test_every_alert_is_explained() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus/zimun-rules.yaml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    explained = set(
        re.findall(r"^\| (Zimun\w+) \|", (ROOT / "docs/operations.md").read_text(), re.M)
    )
    assert alerts == explained


OPERATIONS = (ROOT / "docs/operations.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)


def test_every_block_of_operations_is_of_a_kind_that_is_tested() -> None:
    """Settings and Prometheus here, lines of the log (text) in tests/e2e/test_telemetry.py."""
    assert {language for language, _ in BLOCKS} == {"sh", "yaml", "text"}


@pytest.mark.parametrize("block", [text for language, text in BLOCKS if language == "sh"])
def test_settings_of_operations_can_be_set_together(block: str) -> None:
    environ = dict(line.split("=") for line in block.splitlines() if not line.startswith("#"))
    settings = load(environ)
    for name, value in environ.items():
        assert str(getattr(settings, name.removeprefix("ZIMUN_").lower())) == value


def test_prometheus_of_operations_scrapes_what_has_ports_and_rules() -> None:
    [block] = [yaml.safe_load(text) for language, text in BLOCKS if language == "yaml"]
    assert all((DEPLOY / "prometheus" / file).is_file() for file in block["rule_files"])
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in block["scrape_configs"]}
    servers = Settings(metrics_port=9464, workers=len(jobs["zimun"]))
    assert jobs["zimun"] == [f"{servers.metrics_host}:{port}" for port in servers.metrics_ports]
    assert jobs.keys() == {"zimun", "zimun-gateway"}
