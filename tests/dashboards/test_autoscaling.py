"""The autoscaling examples: valid manifests that ask for metrics which exist, in queries Prometheus accepts."""

import json
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from streams.export.catalogue import CATALOGUE

FOLDER = Path(__file__).parents[2] / "deploy/autoscaling"
KEDA = yaml.safe_load((FOLDER / "keda.yaml").read_text())
HPA = yaml.safe_load((FOLDER / "hpa.yaml").read_text())
ADAPTER = yaml.safe_load((FOLDER / "prometheus-adapter.yaml").read_text())
RULE = ADAPTER["externalRules"][0]
TRIGGER = KEDA["spec"]["triggers"][0]["metadata"]
EXTERNAL = HPA["spec"]["metrics"][0]["external"]
QUERIES = [TRIGGER["query"], RULE["seriesQuery"], RULE["metricsQuery"].replace("<<.LabelMatchers>>", 'service="chat"')]


@pytest.mark.parametrize("query", QUERIES)
def test_queries_ask_for_metrics_and_labels_that_exist(query):
    names = re.findall(r"burstwatch_\w+", query)
    assert names
    for name in names:
        asked = re.findall(r"(\w+)=", query) + re.findall(r"by \((\w+)\)", query)
        assert set(asked) <= set(CATALOGUE[name].labels)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: queries not parsed")
def test_promtool_accepts_the_queries(tmp_path):
    rules = [{"record": f"check:query:{i}", "expr": query} for i, query in enumerate(QUERIES)]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "check", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", str(path)], check=True)


def test_the_adapter_offers_what_the_autoscaler_asks_for():
    assert RULE["name"]["as"] == EXTERNAL["metric"]["name"]
    assert set(EXTERNAL["metric"]["selector"]["matchLabels"]) <= set(CATALOGUE[RULE["seriesQuery"]].labels)


def test_the_wish_is_taken_as_a_number_of_replicas_and_its_absence_is_no_zero():
    assert (KEDA["spec"]["triggers"][0]["metricType"], TRIGGER["threshold"]) == ("AverageValue", "1")
    assert EXTERNAL["target"] == {"type": "AverageValue", "averageValue": "1"}
    assert TRIGGER["ignoreNullValues"] == "false"
    down = [KEDA["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["behavior"], HPA["spec"]["behavior"]]
    assert all(behaviour["scaleDown"]["stabilizationWindowSeconds"] >= 300 for behaviour in down)


CHECK = """
import json, sys
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.kubernetes.autoscaling.v2 import HorizontalPodAutoscaler
for model, manifest in zip((ScaledObject, HorizontalPodAutoscaler), json.load(sys.stdin)):
    told = model.model_validate(manifest).model_dump(mode="json", by_alias=True, exclude_unset=True)
    def lost(given, kept, path):
        # What the schema does not know would be dropped on the way, unseen.
        pairs = given.items() if isinstance(given, dict) else enumerate(given) if isinstance(given, list) else ()
        for key, one in pairs:
            if isinstance(given, dict) and key not in kept:
                yield f"{path}{key}"
            else:
                yield from lost(one, kept[key], f"{path}{key}.")
    missing = list(lost(manifest, told, ""))
    if missing:
        sys.exit(f"not in the schema: {missing}")
"""


@pytest.fixture(scope="module")
def schemas(tmp_path_factory) -> Path:
    """An environment with models generated from KEDA's CRDs and Kubernetes' OpenAPI."""
    folder = tmp_path_factory.mktemp("schemas")
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    models = ("cloudcoil-models-keda==2.16.1.0", "cloudcoil-models-kubernetes==1.32.1.3")
    install = [python, "-m", "pip", "install", "-q", *models]
    done = subprocess.run(install, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"no package index: manifests not checked against the schemas ({done.stderr.strip()[-200:]})")
    return python


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_manifests_fit_the_published_schemas(schemas):
    def check(keda, hpa):
        given = json.dumps([keda, hpa])
        return subprocess.run([schemas, "-c", CHECK], input=given, capture_output=True, text=True, check=False)

    done = check(KEDA, HPA)
    assert done.returncode == 0, done.stderr[-2000:]
    # The check itself sees what is wrong: a misspelt field, a wrong type.
    assert check({**KEDA, "spec": {**KEDA["spec"], "poolingInterval": 15}}, HPA).returncode
    assert check(KEDA, {**HPA, "spec": {**HPA["spec"], "maxReplicas": "many"}}).returncode
