"""API keys: several, plain or hashed, from settings and a file; wrong ones are refused and nothing else is told."""

import base64

import pytest

from mlops_assets.errors import SettingsError
from mlops_assets.serving.keys import hash_of, read_keys
from mlops_assets.settings import read_settings
from mlops_assets_tests.serving.served import serving

PLAIN, HIDDEN, FILED = "plain-key-0123456789", "hidden-key-0123456789", "filed-key-0123456789"
ROW = {"zone": 3, "size": 42.5}


@pytest.fixture(scope="module")
def keyed(shop, tmp_path_factory):
    """A server with a plain key, a hashed one, and one in a file."""
    folder = tmp_path_factory.mktemp("keyed")
    file = folder / "keys"
    file.write_text(f"# of the planners\n\n{hash_of(FILED)}  # until May\n")
    own = {"MLOPS_DATABASE_URL": f"sqlite:///{folder}/own.db", "MLOPS_API_KEY_FILE": str(file)}
    with serving(shop, MLOPS_API_KEYS=f"{PLAIN}, {hash_of(HIDDEN)}", **own) as served:
        yield served


@pytest.mark.parametrize("key", [PLAIN, HIDDEN, FILED])
def test_every_key_opens_by_every_header(keyed, key):
    basic = base64.b64encode(f"anyone:{key}".encode()).decode()
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}, {"Authorization": f"Basic {basic}"}):
        assert keyed.client.post("/predict", json=ROW, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": "wrong"},
        {"X-API-Key": hash_of(HIDDEN)},
        {"Authorization": f"Token {PLAIN}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Bearer"},
        {"X-API-Key": PLAIN + "x"},
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/model", "/metrics", "/openapi.json", "/nothing", "/model/refresh"])
def test_without_a_right_key_no_page_is_told_apart(keyed, path, headers):
    error = keyed.error("POST", path, headers=headers)
    assert (error["status"], error["code"]) == (401, "unauthorized")
    assert "Authorization: Bearer KEY" in error["message"]


def test_health_is_open(keyed):
    assert [keyed.client.get(path).status_code for path in ("/health", "/ready")] == [200, 200]


def test_a_browser_is_asked_for_a_password_and_a_program_for_a_token(keyed):
    assert keyed.client.get("/model").headers["www-authenticate"] == "Bearer"
    assert keyed.client.get("/model", headers={"Accept": "text/html"}).headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MLOPS_API_KEYS", f"{PLAIN},short", "MLOPS_API_KEYS: entry 2 is shorter than 16 characters"),
        ("MLOPS_API_KEYS", "sha256:12ab", "MLOPS_API_KEYS: entry 1 is not `sha256:` and 64 hexadecimal digits"),
        ("MLOPS_API_KEY_FILE", "/nowhere/at/all", "MLOPS_API_KEY_FILE cannot be read: No such file or directory"),
    ],
)
def test_keys_that_cannot_be_used_are_named_but_not_told(name, value, message):
    with pytest.raises(SettingsError) as refused:
        read_keys(read_settings({name: value}))
    assert message in str(refused.value)
    assert "short," not in str(refused.value) and "12ab" not in str(refused.value)


def test_settings_show_no_key():
    assert PLAIN not in repr(read_settings({"MLOPS_API_KEYS": PLAIN, "MLOPS_WEBHOOK_SECRET": PLAIN}))


def test_a_new_key_and_its_hash_belong_together(shop):
    answer = shop.command("new-key")
    key, hashed = (line.split(": ")[1].strip() for line in answer.out.splitlines())
    assert hashed == hash_of(key)
    assert read_keys(read_settings({"MLOPS_API_KEYS": key})) == read_keys(read_settings({"MLOPS_API_KEYS": hashed}))
