"""The folder of a saved model: what was not saved with it is refused unread, and what is not signed where keys ask."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import pytest

from mlops_assets.core.model.files import new_pair, sign
from mlops_assets.core.model.model import load_model
from mlops_assets.errors import ModelError

SAVED = Path(__file__).parent / "saved" / "format_2"


@pytest.fixture(params=["Ridge", "XGBoost"])
def folder(request, tmp_path):
    return Path(shutil.copytree(SAVED / request.param / "data" / "model", tmp_path / "model"))


@pytest.fixture(scope="module")
def keys():
    return new_pair()


def refusal(folder, *arguments):
    with pytest.raises(ModelError) as caught:
        load_model(folder, *arguments).self_check()
    return str(caught.value)


def renew(folder):
    """Set the digests right, as whoever can write the folder may."""
    about = json.loads((folder / "model.json").read_text())
    about["files"] = {name: sha256((folder / name).read_bytes()).hexdigest() for name in about["files"]}
    (folder / "model.json").write_text(json.dumps(about))


def test_a_signed_model_loads_where_one_of_the_keys_has_signed_it(folder, keys):
    signing, verify = keys
    sign(folder, signing)
    load_model(folder, [verify]).self_check()
    load_model(folder, [new_pair()[1], verify]).self_check()
    load_model(folder).self_check()


def test_without_a_signature_or_with_that_of_another_key_it_is_refused(folder, keys):
    assert "is not signed, and MLOPS_VERIFY_KEY asks for that" in refusal(folder, [keys[1]])
    sign(folder, new_pair()[0])
    assert "is not signed by a key of MLOPS_VERIFY_KEY" in refusal(folder, [keys[1]])


@pytest.mark.parametrize("name", ["golden.json", "encoder.json", "model.json"])
def test_what_was_altered_after_it_was_signed_is_refused_though_its_digests_are_right(folder, keys, name):
    sign(folder, keys[0])
    (folder / name).write_text((folder / name).read_text() + " ")
    renew(folder)
    load_model(folder).self_check()
    assert "is not signed by a key" in refusal(folder, [keys[1]])


@pytest.mark.parametrize("text", ["", "no base64!", "A" * 2_000])
def test_a_damaged_signature_is_refused(folder, keys, text):
    (folder / "model.sig").write_text(text)
    assert "sign" in refusal(folder, [keys[1]])


@pytest.mark.parametrize("name", ["estimator.skops", "estimator.ubj", "more.json"])
def test_a_file_that_was_not_saved_with_the_model_is_refused(folder, name):
    if (folder / name).exists():
        pytest.skip("this one was")
    (folder / name).write_bytes(b"{}")
    assert refusal(folder) == f"the saved model holds what was not saved with it: {name}"


@pytest.mark.parametrize("name", ["/dev/zero", "../model.json", "elsewhere.json"])
def test_a_digest_of_a_file_elsewhere_is_refused_unread(folder, name):
    about = json.loads((folder / "model.json").read_text())
    about["files"][name] = "0"
    (folder / "model.json").write_text(json.dumps(about))
    assert refusal(folder) == f"the saved model is damaged: {name} is not there"


@pytest.mark.parametrize("content", [b"", b"{", b"\x00" * 5_000, b"{L\x00", b"\x80\x04pickle" * 100])
def test_an_estimator_that_is_none_is_refused_before_a_library_sees_it(folder, content):
    [path] = folder.glob("estimator.*")
    path.write_bytes(content)
    renew(folder)
    assert refusal(folder)


@pytest.mark.parametrize("golden", ['{"rows": [], "expected": {"prediction": [], "low": [], "high": []}}', "{}", ""])
def test_emptied_golden_rows_are_a_refusal(folder, golden):
    (folder / "golden.json").write_text(golden)
    renew(folder)
    assert "golden rows" in refusal(folder)
