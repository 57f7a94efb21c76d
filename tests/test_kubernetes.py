"""The manifests and the compose file: true to the settings, the endpoints and the limits of the service."""

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sentra.config import Settings, load_file, load_settings
from sentra.metrics import DEFINITIONS
from sentra.metrics.files import FILE_BYTES, GAUGE_FILE_BYTES
from sentra.server import stop_seconds
from tests.conftest import Server

EXAMPLES = Path(__file__).parent.parent / "examples"
FOLDER = EXAMPLES / "kubernetes"
BASE = FOLDER / "base"
LABEL = {"app.kubernetes.io/name": "sentra"}
FORMS = ["base, as written", "base", "overlays/large"]
UNITS = {"Mi": 2**20, "Gi": 2**30}
TOKENS = {"STRICT_AUTH_ALLOWED_TOKENS": "test-token"}

Document = dict[str, Any]


def environment_of(text: str) -> dict[str, str]:
    """The variables of an env file."""
    lines = (line for line in text.splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


@cache
def documents(form: str) -> tuple[Document, ...]:
    """The objects of a form: rendered by kustomize, or the base's files, for which no program is needed."""
    if form == "base, as written":
        listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
        settings = environment_of((BASE / "settings.env").read_text())
        made = [
            {"kind": "ConfigMap", "metadata": {"name": "sentra-settings"}, "data": settings},
            {
                "kind": "ConfigMap",
                "metadata": {"name": "sentra-config"},
                "data": {"config.yaml": (BASE / "config.yaml").read_text()},
            },
        ]
        return (*(yaml.safe_load((BASE / name).read_text()) for name in listed), *made)
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl, which renders kustomizations, is not installed")
    rendered = subprocess.run([kubectl, "kustomize", str(FOLDER / form)], capture_output=True, text=True)
    assert rendered.returncode == 0, rendered.stderr
    return tuple(yaml.safe_load_all(rendered.stdout))


@pytest.fixture(params=FORMS)
def objects(request: pytest.FixtureRequest) -> tuple[Document, ...]:
    return documents(request.param)


def only(objects: tuple[Document, ...], kind: str) -> Document:
    """The one object of a kind."""
    (found,) = (document for document in objects if document["kind"] == kind)
    return found


def pod(objects: tuple[Document, ...]) -> Document:
    spec: Document = only(objects, "Deployment")["spec"]["template"]["spec"]
    return spec


def container(objects: tuple[Document, ...]) -> Document:
    (found,) = pod(objects)["containers"]
    assert isinstance(found, dict)
    return found


def config_map(objects: tuple[Document, ...], name: str) -> Document:
    """The data of the ConfigMap whose name, but for kustomize's hash, is ``name``."""
    maps = (document for document in objects if document["kind"] == "ConfigMap")
    (found,) = (
        document["data"]
        for document in maps
        if re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", document["metadata"]["name"])
    )
    assert isinstance(found, dict)
    return found


def settings(objects: tuple[Document, ...]) -> Settings:
    loaded, warnings = load_settings(config_map(objects, "sentra-settings") | TOKENS)
    assert warnings == []
    return loaded


def size(quantity: str) -> int:
    return int(quantity[:-2]) * UNITS[quantity[-2:]]


def volume(objects: tuple[Document, ...], path: Path) -> Document:
    """The volume that is mounted where ``path`` is, writable."""
    mounts = {
        mount["name"]: path.is_relative_to(mount["mountPath"])
        for mount in container(objects)["volumeMounts"]
        if not mount.get("readOnly")
    }
    (found,) = (entry for entry in pod(objects)["volumes"] if mounts.get(entry["name"]))
    assert isinstance(found, dict)
    return found


def slot_bytes() -> int:
    """What the metric files of one worker take."""
    kinds = {definition.file for definition in DEFINITIONS}
    return sum(FILE_BYTES.get(kind, GAUGE_FILE_BYTES) for kind in kinds) + GAUGE_FILE_BYTES


def test_the_settings_are_accepted(objects: tuple[Document, ...]) -> None:
    assert settings(objects).plugin_config == Path("/etc/sentra/config.yaml")


def test_the_configuration_is_accepted(objects: tuple[Document, ...], tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(config_map(objects, "sentra-config")["config.yaml"])
    assert load_file(tmp_path / "config.yaml").company_domains == ("example.com",)


def test_every_reference_of_the_pod_is_met(objects: tuple[Document, ...]) -> None:
    maps = {document["metadata"]["name"] for document in objects if document["kind"] == "ConfigMap"}
    volumes = {entry["name"]: entry for entry in pod(objects)["volumes"]}
    asked = {source["configMapRef"]["name"] for source in container(objects)["envFrom"] if "configMapRef" in source}
    asked |= {entry["configMap"]["name"] for entry in volumes.values() if "configMap" in entry}
    assert asked == maps
    assert {mount["name"] for mount in container(objects)["volumeMounts"]} == volumes.keys()
    assert pod(objects)["serviceAccountName"] == only(objects, "ServiceAccount")["metadata"]["name"]


def test_who_may_call_comes_from_a_secret_that_must_exist(objects: tuple[Document, ...]) -> None:
    secrets = [source["secretRef"] for source in container(objects)["envFrom"] if "secretRef" in source]
    assert secrets == [{"name": "sentra-auth"}]
    assert settings(objects).auth is None


def written(chosen: Settings) -> list[Path | None]:
    """All paths that a service with these settings writes to."""
    return [chosen.metrics_dir, chosen.cache_dir, chosen.log_file, chosen.audit_log_file, chosen.pid_file]


def test_what_is_written_has_a_writable_place(objects: tuple[Document, ...]) -> None:
    for path in written(settings(objects)):
        assert path is not None
        assert "emptyDir" in volume(objects, path)


def test_the_metric_files_fit_in_memory_twice_over(objects: tuple[Document, ...]) -> None:
    chosen = settings(objects)
    assert chosen.metrics_dir is not None
    place = volume(objects, chosen.metrics_dir)["emptyDir"]
    assert place["medium"] == "Memory"
    assert size(place["sizeLimit"]) >= 2 * chosen.workers * slot_bytes()


def test_the_kept_log_segments_fit_into_their_volume(objects: tuple[Document, ...]) -> None:
    chosen = settings(objects)
    assert chosen.log_file is not None
    assert chosen.log_max_bytes is not None
    place = volume(objects, chosen.log_file)["emptyDir"]
    assert size(place["sizeLimit"]) >= 2 * (chosen.log_rotate_keep + 1) * chosen.log_max_bytes


def test_a_worker_has_a_core_at_most_and_memory_for_its_rules(objects: tuple[Document, ...]) -> None:
    chosen, resources = settings(objects), container(objects)["resources"]
    assert chosen.workers / 2 <= float(resources["requests"]["cpu"]) <= chosen.workers
    assert size(resources["requests"]["memory"]) >= chosen.workers * 200 * 2**20
    assert "cpu" not in resources["limits"]


def test_the_pod_meets_the_restricted_standard(objects: tuple[Document, ...]) -> None:
    own, whole = container(objects)["securityContext"], pod(objects)["securityContext"]
    assert own == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert whole["runAsNonRoot"] is True
    assert whole["runAsUser"] == whole["runAsGroup"] == whole["fsGroup"] == 10001
    assert whole["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod(objects)["automountServiceAccountToken"] is False


def test_the_user_is_that_of_the_image(objects: tuple[Document, ...]) -> None:
    user = re.findall(r"(?m)^USER (\d+):(\d+)$", (EXAMPLES.parent / "Containerfile").read_text())
    context = pod(objects)["securityContext"]
    assert user == [(str(context["runAsUser"]), str(context["runAsGroup"]))]


def test_no_service_variables_are_injected_beside_the_settings(objects: tuple[Document, ...]) -> None:
    assert pod(objects)["enableServiceLinks"] is False


def test_the_grace_period_covers_the_whole_stop(objects: tuple[Document, ...]) -> None:
    command = container(objects)["lifecycle"]["preStop"]["exec"]["command"]
    assert pod(objects)["terminationGracePeriodSeconds"] > int(command[1]) + stop_seconds(settings(objects))


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_probe_asks_an_endpoint_that_answers(objects: tuple[Document, ...], probe: str, server: Server) -> None:
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    asked = container(objects)[probe]["httpGet"]
    assert ports[asked["port"]] == settings(objects).ops_port
    assert server.client.get(asked["path"]).status_code == 200


def test_the_monitor_scrapes_an_endpoint_that_answers(objects: tuple[Document, ...], server: Server) -> None:
    spec = only(objects, "PodMonitor")["spec"]
    (endpoint,) = spec["podMetricsEndpoints"]
    assert set(spec) == {"selector", "podMetricsEndpoints"}
    assert set(endpoint) == {"port", "path", "interval", "scrapeTimeout"}
    ports = {port["name"]: port["containerPort"] for port in container(objects)["ports"]}
    assert ports[endpoint["port"]] == settings(objects).ops_port
    assert int(endpoint["scrapeTimeout"][:-1]) < int(endpoint["interval"][:-1])
    assert server.client.get(endpoint["path"]).text.startswith("# HELP sentra_")


def test_every_selector_means_these_pods(objects: tuple[Document, ...]) -> None:
    selectors = [
        only(objects, "Deployment")["spec"]["selector"]["matchLabels"],
        only(objects, "Service")["spec"]["selector"],
        only(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        only(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        only(objects, "PodMonitor")["spec"]["selector"]["matchLabels"],
        *(spread["labelSelector"]["matchLabels"] for spread in pod(objects)["topologySpreadConstraints"]),
    ]
    assert selectors == [LABEL] * len(selectors)


def test_the_service_forwards_calls_alone(objects: tuple[Document, ...]) -> None:
    (port,) = only(objects, "Service")["spec"]["ports"]
    ports = {entry["name"]: entry["containerPort"] for entry in container(objects)["ports"]}
    assert ports == {"http": settings(objects).port, "ops": settings(objects).ops_port}
    assert port["targetPort"] == "http"


@pytest.mark.parametrize("form", FORMS[1:])
def test_the_pods_carry_the_label_that_selectors_ask_for(form: str) -> None:
    assert only(documents(form), "Deployment")["spec"]["template"]["metadata"]["labels"] == LABEL


def test_the_network_lets_in_named_namespaces_and_out_to_dns_and_public_addresses(
    objects: tuple[Document, ...],
) -> None:
    spec = only(objects, "NetworkPolicy")["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    callers, watchers = spec["ingress"]
    for rule, port, namespace in ((callers, "http", "ingress-nginx"), (watchers, "ops", "monitoring")):
        named = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
        assert rule == {"from": [{"namespaceSelector": named}], "ports": [{"port": port}]}
    dns, outside = spec["egress"]
    assert dns["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert "169.254.0.0/16" in outside["to"][0]["ipBlock"]["except"]
    assert outside["ports"] == [{"port": 443}]


def test_the_autoscaler_scales_the_deployment_by_metrics_that_exist(objects: tuple[Document, ...]) -> None:
    spec = only(objects, "HorizontalPodAutoscaler")["spec"]
    deployment = only(objects, "Deployment")
    assert spec["scaleTargetRef"] == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert "replicas" not in deployment["spec"]
    assert 2 <= spec["minReplicas"] < spec["maxReplicas"]
    asked = {metric["pods"]["metric"]["name"] for metric in spec["metrics"] if metric["type"] == "Pods"}
    assert asked <= {definition.name for definition in DEFINITIONS}


def test_a_roll_out_never_lowers_the_number_of_ready_pods(objects: tuple[Document, ...]) -> None:
    assert only(objects, "Deployment")["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0


def test_the_large_overlay_is_larger() -> None:
    base, large = documents("base"), documents("overlays/large")
    assert settings(large).workers > settings(base).workers
    assert (
        only(large, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
        > only(base, "HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    )
    assert [spread["topologyKey"] for spread in pod(large)["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]


@pytest.mark.parametrize("form", FORMS[1:])
def test_the_schemas_of_kubernetes_hold(form: str) -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for document in documents(form):
        if document["kind"] != "PodMonitor":  # a custom kind, see the test above
            validator.validate(document, "1.37", strict=True)


# The compose file

COMPOSE: Document = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())["services"]["sentra"]


def test_the_compose_file_has_settings_that_are_accepted() -> None:
    chosen, warnings = load_settings(COMPOSE["environment"] | TOKENS)
    assert warnings == []
    places = [entry.partition(":")[0] for entry in COMPOSE["tmpfs"]] + [
        entry.split(":")[1] for entry in COMPOSE["volumes"]
    ]
    for path in [*written(chosen), chosen.plugin_config]:
        assert path is not None
        assert any(path.is_relative_to(place) for place in places)


def test_the_compose_file_mounts_what_exists() -> None:
    for source in (entry.partition(":")[0] for entry in COMPOSE["volumes"]):
        assert not source.startswith(".") or (EXAMPLES / source).is_file()
    build = COMPOSE["build"]
    assert (EXAMPLES / build["context"] / build["dockerfile"]).is_file()


def test_the_log_volume_belongs_to_the_user_of_the_image() -> None:
    (folder,) = (entry.partition(":")[2] for entry in COMPOSE["volumes"] if entry.startswith("logs:"))
    commands = (EXAMPLES.parent / "Containerfile").read_text()
    assert f"RUN mkdir -p {folder} && chown {COMPOSE['user']} {folder}\n" in commands


def test_the_compose_file_refuses_to_start_without_tokens() -> None:
    assert COMPOSE["environment"]["STRICT_AUTH_ALLOWED_TOKENS"].startswith("${STRICT_AUTH_ALLOWED_TOKENS:?")


def test_the_compose_file_gives_no_privileges() -> None:
    assert COMPOSE["read_only"] is True
    assert COMPOSE["cap_drop"] == ["ALL"]
    assert COMPOSE["security_opt"] == ["no-new-privileges:true"]
    assert COMPOSE["user"] == "10001:10001"


def test_the_health_check_asks_an_endpoint_that_answers(server: Server) -> None:
    command: list[str] = COMPOSE["healthcheck"]["test"][1:]
    ops_port = COMPOSE["environment"]["SENTRA_OPS_PORT"]
    assert f"127.0.0.1:{ops_port}:{ops_port}" in COMPOSE["ports"]
    asked = [argument.replace(f"127.0.0.1:{ops_port}", f"127.0.0.1:{server.port}") for argument in command]
    assert subprocess.run([shutil.which("python3") or "python3", *asked[1:]], timeout=20).returncode == 0
