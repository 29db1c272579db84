"""What deploys the queue: units, compose file, alerts, dashboard; each read by its own verifier where there is one."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import promql_parser
import pytest
import yaml
from compose_viz.spec.compose_spec import ComposeSpecification
from pretended_night import finish, hand_in, new_run, open_night, take_any
from prometheus_client import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from smearscan import __version__
from smearscan.cli.main import cli
from smearscan.stages import flow
from smearscan.stages.job import NewChunk
from smearscan.store.claims import STAT
from smearscan.store.reading import open_reader
from workers.metrics import make_registry
from workers.surroundings import ArtefactWatch, Gpu

_DEPLOY = Path(__file__).resolve().parents[2] / "configs" / "deploy"
_UNITS = sorted((_DEPLOY / "systemd").glob("*.service"))
_PROGRAM = "/opt/smearscan/bin/smearscan"
#: What Prometheus adds itself.
_ADDED = {"up", "ALERTS"}


def _yaml(name: str) -> dict[str, Any]:
    found = yaml.safe_load((_DEPLOY / name).read_text("utf-8"))
    assert isinstance(found, dict)
    return found


def _alerts() -> list[dict[str, Any]]:
    return [rule for group in _yaml("alerts.yaml")["groups"] for rule in group["rules"]]


def _panels() -> list[dict[str, Any]]:
    dashboard = json.loads((_DEPLOY / "grafana" / "dashboard.json").read_text("utf-8"))
    return list(dashboard["panels"])


def _expressions() -> dict[str, str]:
    named = {rule["alert"]: rule["expr"] for rule in _alerts()}
    for panel in _panels():
        for target in panel["targets"]:
            named[f"{panel['title']} {target['refId']}"] = target["expr"]
    return named


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Metric]:
    """Everything that the exporter can tell, by the names of samples."""
    folder = tmp_path_factory.mktemp("night")
    state = open_night(f"sqlite:///{folder / 'state.db'}", folder)
    hand_in(state, new_run(["a", "b"]), new_run(["c"], priority=STAT))
    finish(state, take_any(state), [NewChunk("classify", {}, 0, n_items=100, pool="networks")])
    finish(state, take_any(state), n_slots=128)
    state.database.run(flow.fail, take_any(state)[0], "no reason", "EmptySlideError")
    state.artefacts.put(f"crop-{0:048x}", b"crop")
    watch = ArtefactWatch(state.artefacts)
    watch.start()
    watch.stop()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workers.metrics.gpus", lambda: [Gpu("0", 0.5, 1, 2)])
        reader = open_reader(state.location.database)
        text = generate_latest(make_registry(state.location, reader, watch)).decode()
    reader.close()
    state.database.close()
    return {sample.name: family for family in text_string_to_metric_families(text) for sample in family.samples}


def _selectors(node: Any) -> list[Any]:
    """Vector selectors of a parsed expression, wherever they stand."""
    if isinstance(node, promql_parser.VectorSelector):
        return [node]
    parts: list[Any] = []
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        parts += [getattr(node, name)] if getattr(node, name, None) is not None else []
    parts += list(getattr(node, "args", None) or [])
    return [found for part in parts for found in _selectors(part)]


@pytest.mark.parametrize("name", _expressions())
def test_every_expression_parses_and_asks_for_what_is_told(name: str, told: dict[str, Metric]) -> None:
    selectors = _selectors(promql_parser.parse(_expressions()[name]))
    assert selectors
    for selector in selectors:
        if selector.name in _ADDED:
            continue
        assert selector.name in told, f"{name}: the exporter tells nothing of {selector.name}"
        labels = {label for sample in told[selector.name].samples for label in sample.labels} | {"job", "instance"}
        asked = {matcher.name for matcher in selector.matchers.matchers}
        assert asked <= labels, f"{name}: {selector.name} has no {sorted(asked - labels)}"


def test_every_metric_of_ours_is_seen_somewhere(told: dict[str, Metric]) -> None:
    asked = {selector.name for text in _expressions().values() for selector in _selectors(promql_parser.parse(text))}
    unseen = {name for name in told if name.startswith("smearscan_") and name not in asked}
    assert unseen == {"smearscan_info", "smearscan_artefacts"}


def test_every_alert_has_a_heading_that_says_what_to_do() -> None:
    text = (_DEPLOY.parents[1] / "docs" / "operations.md").read_text("utf-8")
    headings = re.findall(r"^### (Smearscan\w+)$", text, re.MULTILINE)
    assert headings == [rule["alert"] for rule in _alerts()]


def test_labels_in_what_an_alert_says_are_those_of_its_expression() -> None:
    for rule in _alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}
        for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
            assert re.search(rf"by \([^)]*\b{label}\b[^)]*\)", rule["expr"]), rule["alert"]


def test_panels_do_not_overlap_and_have_names_and_numbers_of_their_own() -> None:
    panels = _panels()
    assert len({panel["id"] for panel in panels}) == len(panels)
    places: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        covered = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not places & covered, panel["title"]
        places |= covered


def _promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        # Its Debian package would start a server on the developer's machine, so that tests/run does not install it.
        pytest.skip("no promtool (Debian: apt-get install prometheus): grammar and metric names are checked without it")
    return found


def test_prometheus_takes_its_file_and_the_alerts(tmp_path: Path) -> None:
    for name in ("prometheus.yaml", "alerts.yaml"):
        shutil.copy(_DEPLOY / name, tmp_path)
    done = subprocess.run([_promtool(), "check", "config", str(tmp_path / "prometheus.yaml")], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


_CROP = 'queue_chunks{stage="crop",queue="cpu",status="ready"}'
_SEEN = 'workers{queue="cpu"}'
_FAILED, _DONE = 'slides{state="failed"}', 'slides{state="done"}'
_TROUBLE = 'work_chunks_total{stage="crop",outcome="quarantined"}'
_LOST = 'work_chunks_total{stage="crop",outcome="worker_lost"}'
#: alert, series of one sample a minute ("VALUExN": it and N more like it), minute, whether it fires then.
_NIGHTS = [
    ("SmearscanNoWorker", {_CROP: "5x20", _SEEN: "0x20"}, 10, True),
    ("SmearscanNoWorker", {_CROP: "5x20", _SEEN: "2x20"}, 10, False),
    ("SmearscanNoWorker", {_CROP: "0x20", _SEEN: "0x20"}, 10, False),
    ("SmearscanNobodyTakes", {'untaken_chunks{queue="gpu"}': "3x20", 'untaken_chunks{queue="cpu"}': "0x20"}, 15, True),
    ("SmearscanNobodyTakes", {'untaken_chunks{queue="gpu"}': "0x20", _SEEN: "2x20"}, 15, False),
    ("SmearscanStatWaits", {'oldest_ready_seconds{queue="cpu",priority="stat"}': "1000x9"}, 5, True),
    ("SmearscanStatWaits", {'oldest_ready_seconds{queue="cpu",priority="routine"}': "40000x9"}, 5, False),
    ("SmearscanStalled", {"leases": "4x90", "last_work_timestamp_seconds": "0x90"}, 80, True),
    ("SmearscanStalled", {"leases": "4x90", "last_work_timestamp_seconds": "0+60x90"}, 80, False),
    ("SmearscanStalled", {"leases": "0x90", "last_work_timestamp_seconds": "0x90"}, 80, False),
    ("SmearscanQuarantined", {_TROUBLE: "0x9 1x30"}, 20, True),
    ("SmearscanQuarantined", {_TROUBLE: "1x90"}, 20, False),
    ("SmearscanWorkersLost", {_LOST: "0x9 8x30"}, 20, True),
    ("SmearscanSlidesFail", {_FAILED: "0x100 9x100", _DONE: "0x100 30x100"}, 150, True),
    ("SmearscanSlidesFail", {_FAILED: "0x100 9x100", _DONE: "0x100 900x100"}, 150, False),
    ("SmearscanBatchesThin", {"batch_fill_ratio": "0.2x60", "pool_cells": "9000x60"}, 40, True),
    ("SmearscanBatchesThin", {"batch_fill_ratio": "0.2x60", "pool_cells": "10x60"}, 40, False),
]


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    shutil.copy(_DEPLOY / "alerts.yaml", tmp_path)
    rules = {rule["alert"]: rule for rule in _alerts()}
    # Two exporters tell of the same state: an alert must not fire twice as early, nor break.
    tests = [
        {
            "interval": "1m",
            "input_series": [
                {"series": _told_by(name, instance), "values": values}
                for name, values in series.items()
                for instance in ("a", "b")
            ],
            "promql_expr_test": [],
            "alert_rule_test": [{"eval_time": f"{minute}m", "alertname": alert}],
        }
        for alert, series, minute, _ in _NIGHTS
    ]
    assert all(alert in rules for alert, *_ in _NIGHTS)
    for test, (alert, _, _, fires) in zip(tests, _NIGHTS, strict=True):
        path = tmp_path / "night.yaml"
        path.write_text(yaml.safe_dump({"rule_files": ["alerts.yaml"], "tests": [test]}), "utf-8")
        done = subprocess.run([_promtool(), "test", "rules", str(path)], capture_output=True, text=True, cwd=tmp_path)
        # Expected is silence: what fires is a failure that names the alert.
        said = done.stdout + done.stderr
        assert ("SUCCESS" in said) == (not fires), f"{alert}: {said}"
        assert not fires or ("exp:[" in said and f'alertname="{alert}"' in said), said


def _told_by(name: str, instance: str) -> str:
    metric, brace, labels = name.partition("{")
    return f'smearscan_{metric}{{instance="{instance}"' + (f",{labels}" if brace else "}")


@pytest.mark.parametrize("unit", _UNITS, ids=lambda unit: unit.stem)
def test_systemd_takes_the_units(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        # Only systemd knows its own grammar; there is no library of it.
        pytest.skip("no systemd-analyze: this machine has no systemd, and no use for its units")
    # A program that is here stands for the one that will be.
    text = unit.read_text("utf-8").replace(_PROGRAM, sys.executable)
    name = unit.name.replace("@.", "@0.")
    (tmp_path / unit.name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(tmp_path / name)], capture_output=True, text=True
    )
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def _compose() -> dict[str, Any]:
    # The types leave out what the specification allows under x-.
    return {key: value for key, value in _yaml("compose.yaml").items() if not key.startswith("x-")}


def test_the_compose_file_is_of_the_published_schema() -> None:
    ComposeSpecification.model_validate(_compose())


def test_with_gpus_one_exporter_sees_them_all_and_prometheus_finds_it_only_then() -> None:
    service = _compose()["services"]["gpu-metrics"]
    (reserved,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert (service["profiles"], reserved["count"], reserved["capabilities"]) == (["gpu"], "all", ["gpu"])
    (job,) = _yaml("prometheus.yaml")["scrape_configs"]
    assert [found["names"] for found in job["dns_sd_configs"]] == [["gpu-metrics"]]
    assert "gpu" not in str(job["static_configs"]), "a target that is never there would page somebody"


def test_a_gpus_worker_counts_gpus_as_the_metrics_do() -> None:
    assert "CUDA_DEVICE_ORDER=PCI_BUS_ID" in (_DEPLOY / "systemd" / "smearscan-gpu@.service").read_text("utf-8")


def test_images_are_named_with_their_versions() -> None:
    for name, service in _compose()["services"].items():
        image, _, version = service["image"].partition(":")
        assert re.search(r"\d+\.\d+", version), f"{name}: {image}"
        if image == "smearscan":
            assert f":-{__version__}}}" in version
    assert f"smearscan:{__version__} " in (_DEPLOY / "Dockerfile").read_text("utf-8").splitlines()[0]


def test_no_password_stands_in_the_compose_file_and_what_it_mounts_is_there() -> None:
    for service in _compose()["services"].values():
        secret = [name for name in service.get("environment", {}) if "PASSWORD" in name]
        assert all(name.endswith("_FILE") for name in secret)
    text = (_DEPLOY / "compose.yaml").read_text("utf-8")
    for path in re.findall(r"- (\./[\w./-]+):", text):
        assert (_DEPLOY / path).is_file(), path


def _commands() -> list[list[str]]:
    found = [
        line.removeprefix(f"ExecStart={_PROGRAM} ").replace("%i", "cpu").replace("%f", "/").split()
        for unit in _UNITS
        for line in unit.read_text("utf-8").splitlines()
        if line.startswith("ExecStart=")
    ]
    for service in _compose()["services"].values():
        if service["image"].startswith("smearscan:"):
            defaults = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", service["command"])
            found.append(shlex.split(re.sub(r"\$\{\w+\}", "/", defaults)))
    return found


@pytest.mark.parametrize("arguments", _commands(), ids=" ".join)
def test_commands_of_units_and_services_have_the_options_they_are_given(arguments: list[str]) -> None:
    with click.Context(cli) as context:
        command = cli.get_command(context, arguments[0])
    assert command is not None
    with command.make_context(arguments[0], arguments[1:]) as parsed:
        assert parsed.params["state"] in {"/var/lib/smearscan", "/state"}
