import string
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plantain.base.config import read_params
from plantain.base.errors import InputError
from plantain.base.secrets import redacted, redacted_address, user_info

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "marcusaurelius", "hunter2token"

anything = st.text(max_size=8)
solid = st.text(st.characters(blacklist_categories=("Z", "C")), max_size=8)
signs = st.text(alphabet="@:/?#[]%&=;." + string.digits + "ab", max_size=8)
schemes = st.sampled_from(["https", "http", "postgresql", "mysql+pymysql", "ssh", "git+https", "S3"])
hosts = st.sampled_from(["example.org", "example.org:5000", "127.0.0.1", "[::1]:80", "localhost"])
paths = st.sampled_from(["", "/", "/x/y.git", "/#/experiments/1", "/a?b=c", "/mail@home"])


def survives(text):
    return any(part in text.lower() for part in (USER, PASSWORD))


@given(schemes, hosts, paths, *[anything | signs] * 4)
def test_no_user_and_no_password_of_an_address_survives(scheme, host, path, before, after, left, right):
    address = f"{scheme}://{before}{USER}{after}:{left}{PASSWORD}{right}@{host}{path}"
    assert not survives(redacted_address(address))


@given(schemes, hosts, paths, *[solid | signs] * 4)
def test_nor_of_one_that_a_sentence_quotes(scheme, host, path, before, after, left, right):
    address = f"{scheme}://{before}{USER}{after}:{left}{PASSWORD}{right}@{host}{path}"
    told = redacted(f"Could not reach ('{address}'): timed out, see otherview@tiny:target")
    assert not survives(told)
    assert told.startswith("Could not reach")
    assert told.endswith("timed out, see otherview@tiny:target")


@given(anything | signs, st.sampled_from(["token", "api_key", "PASSWORD", "client-secret", "sig", "X-Amz-Signature"]))
def test_no_credential_of_a_query_survives(value, name):
    address = f"https://example.org/x?page=2&{name}={quote(value + PASSWORD, safe='')}&z=3#part"
    assert redacted_address(address) == "https://example.org/x?page=2&z=3#part"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://user:pw@host/x", "https://host/x"),
        ("https://user:pa@ss/w@host/x", "https://host/x"),
        ("https://user:pa/ss@host/x", "https://host/x"),
        ("https://user:12/34@host/x", "https://***"),
        ("https://token@host/x.git", "https://host/x.git"),
        ("https://host/x?token=abc", "https://host/x"),
        ("https://host/#/runs?token=abc&a=b", "https://host/#/runs?a=b"),
        ("git@github.com:someone/x.git", "github.com:someone/x.git"),
        ("user:pw@host.org:x.git", "host.org:x.git"),
        ("postgresql://user:p:w@host:5432/db?sslmode=require", "postgresql://host:5432/db?sslmode=require"),
        ("http://127.0.0.1:5000/#/experiments/1/runs?viewStateShareKey=x1", None),
        ("sqlite:////home/a@b/mlflow.db", None),
        ("https://example.org:5000", None),
        ("mlflow/a@b.db", None),
        ("/srv/git/x.git", None),
    ],
)
def test_what_is_shown_of_an_address(address, shown):
    assert redacted_address(address) == (shown or address)


def test_the_secrets_of_the_environment_are_taken_out_of_any_sentence(monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    assert redacted(f"FATAL: password {PASSWORD} is wrong") == "FATAL: password *** is wrong"
    monkeypatch.setenv("PGPASSWORD", "a")
    assert redacted("a sentence stays a sentence") == "a sentence stays a sentence"


def test_addresses_of_results_and_files_are_no_logins():
    said = "otherview@tiny:target, otherview@klein-1.5:target, prompts/a@b.yaml:12: mail: nobody@example.org"
    assert redacted(said) == said
    assert user_info("sqlite:///a@b/mlflow.db") == user_info("http://h:5000") == (False, False)


def with_uri(folder, uri):
    path = folder / "params.yaml"
    path.write_text((ROOT / "params.yaml").read_text().replace("uri: null", f"uri: {uri}"))
    return path


@pytest.mark.parametrize(
    ("uri", "way"),
    [
        (f"https://u:{PASSWORD}@host", "MLFLOW_TRACKING_PASSWORD"),
        (f"https://u:pa@ss/{PASSWORD}@host/x", "MLFLOW_TRACKING_PASSWORD"),
        (f"https://host/?token={PASSWORD}", "MLFLOW_TRACKING_TOKEN"),
        (f"https://{PASSWORD}@host", "MLFLOW_TRACKING_USERNAME"),
        (f"postgresql://u:{PASSWORD}@host/db", "~/.pgpass"),
        (f"postgresql+psycopg2://host/db?user=u&password={PASSWORD}", "PGPASSWORD"),
        (f"mysql+pymysql://u:{PASSWORD}@host/db", "read_default_file"),
        (f"u:{PASSWORD}@host:5000", "oc.env"),
    ],
)
def test_a_secret_in_the_tracking_address_is_refused_with_the_way_that_keeps_it_out_of_git(tmp_path, uri, way):
    path = with_uri(tmp_path, uri)
    with pytest.raises(InputError) as caught:
        read_params(path)
    assert caught.value.field == "tracking.uri"
    assert uri in path.read_text().splitlines()[caught.value.line - 1]
    assert way in caught.value.fix
    assert PASSWORD not in str(caught.value)


def test_a_secret_elsewhere_in_the_parameters_is_refused_too(tmp_path):
    path = tmp_path / "params.yaml"
    text = (ROOT / "params.yaml").read_text()
    path.write_text(text.replace("repo: black-forest-labs", f"repo: https://u:{PASSWORD}@host/black-forest-labs"))
    with pytest.raises(InputError) as caught:
        read_params(path)
    assert caught.value.field == "models.klein-base-4b.repo"
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["postgresql://user@host/db", "sqlite:///a@b/mlflow.db", "http://host:5000", "databricks"]
)
def test_an_address_without_a_secret_is_taken_as_it_is(tmp_path, uri):
    assert read_params(with_uri(tmp_path, uri)).tracking.uri == uri


def test_an_address_may_come_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACKER", f"https://u:{PASSWORD}@host")
    path = with_uri(tmp_path, "${oc.env:TRACKER}")
    assert read_params(path).tracking.uri == f"https://u:{PASSWORD}@host"
