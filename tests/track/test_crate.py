import json
import zipfile
from hashlib import sha256
from importlib import resources

import pytest
from helpers.track_helpers import make_results

from plantain.base.errors import InputError
from plantain.records import journal
from plantain.records.receipt import FileRecord, read_receipt, write_receipt
from plantain.track import crate
from plantain.track.address import Address, find


@pytest.fixture
def exported(checkout, monkeypatch):
    pytest.importorskip("rocrate")
    make_results(checkout, probes=("dense",))
    for name in ("dvc.yaml", "params.yaml", "environment.yaml", "dvc.lock"):
        (checkout / name).write_text(f"# {name}\n")
    large = checkout / "data/activations/tiny/dense.safetensors"
    large.parent.mkdir(parents=True)
    large.write_bytes(b"0" * 50_000)
    monkeypatch.setattr(crate, "LARGE", 40_000)
    path = checkout / "receipts/capture/tiny/dense.json"
    content = large.read_bytes()
    record = FileRecord(path="data/activations/tiny/dense.safetensors", sha256=sha256(content).hexdigest(), size=50_000)
    write_receipt(path, read_receipt(path).model_copy(update={"writes": [record]}))
    found = find(checkout, Address("dense", "tiny"), None)
    return crate.export(found, journal.executions(), checkout / "out", "# What may be said\n"), found


def graph(folder):
    return {one["@id"]: one for one in json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]}


def references(value):
    if isinstance(value, dict):
        return {value["@id"]} if set(value) == {"@id"} else set().union(*map(references, value.values()), set())
    return set().union(*map(references, value), set()) if isinstance(value, list) else set()


def test_the_crate_says_what_ran_on_what_with_which_numbers(exported):
    folder, _ = exported
    entities = graph(folder)
    (action,) = [one for one in entities.values() if one["@type"] == "CreateAction"]
    assert action["instrument"] == {"@id": "dvc.yaml"}
    assert entities["./"]["mainEntity"] == {"@id": "dvc.yaml"}
    assert (action["startTime"], action["endTime"]) == ("2023-11-14T22:13:20+00:00", "2023-11-14T22:13:22+00:00")
    results = {entities[one["@id"]]["name"]: entities[one["@id"]] for one in action["result"]}
    assert results["target.heads.heads_over_t3"]["value"] == 10.0
    assert {"@id": "params.yaml"} in action["object"]


def test_every_copied_file_is_the_one_named_and_large_ones_are_named_by_digest(exported):
    folder, _ = exported
    files = [one for one in graph(folder).values() if "File" in one["@type"] and "sha256" in one]
    copied = [one for one in files if (folder / one["@id"]).exists()]
    assert len(copied) > 6
    for one in copied:
        assert sha256((folder / one["@id"]).read_bytes()).hexdigest() == one["sha256"]
    (large,) = [one for one in files if one not in copied]
    assert large["@id"].startswith("ni:///sha-256;")
    assert large["alternateName"] == "data/activations/tiny/dense.safetensors"
    assert not list(folder.rglob("*.safetensors"))


def test_the_model_card_stands_in_it_and_is_about_the_whole(exported):
    folder, _ = exported
    card = graph(folder)["README.md"]
    assert (folder / "README.md").read_text() == "# What may be said\n"
    assert (card["about"], card["encodingFormat"]) == ({"@id": "./"}, "text/markdown")


def test_every_reference_inside_the_crate_resolves(exported):
    folder, _ = exported
    entities = graph(folder)
    pointed = set().union(*(references(one) for one in entities.values()))
    outside = {name for name in pointed - set(entities) if not name.startswith(("http://", "https://"))}
    assert not outside


def test_the_crate_may_be_a_zip_and_nothing_is_overwritten(exported):
    folder, found = exported
    target = folder.with_name("out.zip")
    crate.export(found, journal.executions(), target)
    assert "ro-crate-metadata.json" in zipfile.ZipFile(target).namelist()
    with pytest.raises(InputError, match="exists"):
        crate.export(found, journal.executions(), target)


def test_the_validator_of_the_profiles_finds_nothing_required_missing(exported, monkeypatch):
    """Offline: the two JSON-LD contexts come from the rocrate package, with the terms of version 1.1 set back."""
    services = pytest.importorskip("rocrate_validator.services")
    import requests
    import requests_cache
    from rocrate_validator.models import Severity

    bioschemas = "https://bioschemas.org/ComputationalWorkflow"
    terms = json.loads(resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text())["@context"]
    terms |= {"ComputationalWorkflow": bioschemas, "FormalParameter": "https://bioschemas.org/FormalParameter"}
    terms |= {"input": f"{bioschemas}#input", "output": f"{bioschemas}#output"}

    def send(self, request, **options):
        answer = requests.Response()
        answer.request, answer.url = request, request.url
        known = "context" in request.url
        answer.status_code = 200 if known else 404
        answer._content = json.dumps({"@context": terms}).encode() if known else b""
        answer.headers["Content-Type"] = "application/ld+json"
        return answer

    monkeypatch.setattr(requests.Session, "send", send)
    monkeypatch.setattr(requests_cache.CachedSession, "send", send)
    for profile in ("process-run-crate-0.5", "workflow-run-crate-0.5"):
        settings = services.ValidationSettings(
            rocrate_uri=str(exported[0]), profile_identifier=profile, requirement_severity=Severity.REQUIRED
        )
        assert not services.validate(settings).get_issues()
