"""The Kubernetes example against models made from Kubernetes' OpenAPI and the Prometheus operator's CRDs."""

import copy
import json
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from tests.deploy.manifests import PARTS, built

MODELS = ("cloudcoil-models-kubernetes==1.32.1.3", "cloudcoil-models-prometheus-operator==0.80.1.0")

CHECK = """
import json, sys
from cloudcoil.models.kubernetes.apps.v1 import DaemonSet, Deployment, StatefulSet
from cloudcoil.models.kubernetes.core.v1 import ConfigMap, Namespace, Service
from cloudcoil.models.kubernetes.policy.v1 import PodDisruptionBudget
from cloudcoil.models.prometheus_operator.v1 import PodMonitor, PrometheusRule
models = (DaemonSet, Deployment, StatefulSet, ConfigMap, Namespace, Service, PodDisruptionBudget, PodMonitor,
          PrometheusRule)
models = {model.__name__: model for model in models}
def lost(given, kept, path):
    # What the schema does not know would be dropped on the way, unseen.
    pairs = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
    for key, one in pairs:
        if isinstance(given, dict) and key not in kept:
            yield f"{path}{key}"
        else:
            yield from lost(one, kept[key], f"{path}{key}.")
def problems(manifests):
    for manifest in manifests:
        try:
            told = models[manifest["kind"]].model_validate(manifest)
        except ValueError as error:
            yield f"{manifest['kind']}: {error}"
            continue
        told = told.model_dump(mode="json", by_alias=True, exclude_unset=True)
        yield from (f"{manifest['kind']}: not in the schema: {one}" for one in lost(manifest, told, ""))
json.dump({name: list(problems(manifests)) for name, manifests in json.load(sys.stdin).items()}, sys.stdout)
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def schemas(tmp_path_factory) -> Path:
    """The Python of an environment with the models in it."""
    folder = tmp_path_factory.mktemp("schemas")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [python, "-m", "pip", "install", "-q", *MODELS]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"no package index: manifests not checked against the schemas ({done.stderr.strip()[-200:]})")
    return python


def _deployment(made):
    return next(one for one in made if one["kind"] == "Deployment")["spec"]


def _container(made):
    return _deployment(made)["template"]["spec"]["containers"][0]


def _of_kind(made, kind):
    return next(one for one in made if one["kind"] == kind)["spec"]


SPOILT = {
    "a word for a number": lambda made: _deployment(made).update(replicas="two"),
    "a misspelt probe": lambda made: _container(made).update(redinessProbe={}),
    "a misspelt right": lambda made: _container(made)["securityContext"].update(readOnlyRootFileSystem=True),
    "a monitor of a Service": lambda made: _of_kind(made, "PodMonitor").update(endpoints=[]),
    "a rule that is none": lambda made: _of_kind(made, "PrometheusRule")["groups"][0].update(rules=1),
}


@pytest.fixture(scope="module")
def problems(schemas) -> dict[str, list[str]]:
    """What the models say of each part, and of each way to spoil one; asked at once, they load for ten seconds."""
    asked = {part: built(folder) for part, folder in PARTS.items()}
    for name, spoil in SPOILT.items():
        asked[name] = copy.deepcopy(asked["stream side"])
        spoil(asked[name])
    given = json.dumps(asked)
    done = subprocess.run([schemas, "-c", CHECK], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.mark.parametrize("part", PARTS)
def test_every_manifest_fits_its_schema(problems, part):
    assert problems[part] == []


@pytest.mark.parametrize("name", SPOILT)
def test_the_check_sees_what_is_wrong(problems, name):
    assert problems[name]
