"""The documentation: in step with the code, its links lead somewhere, its examples can be used."""

import importlib.util
import re

import numpy as np
import pytest
import yaml
from dotenv import dotenv_values
from typer.main import get_command

from mlops_assets.cli import app
from mlops_assets.core.learners.estimators import FitData, fit, predict
from mlops_assets.core.learners.model_types import resolve_model_type
from mlops_assets.core.learners.persistence import dump_estimator, parse_estimator
from mlops_assets.core.learners.search_spaces import load_search_spaces
from mlops_assets.dataset import load_dataset
from mlops_assets.dataset.part import Part
from mlops_assets.dataset.parts import CALENDAR_PARTS, DERIVATIONS
from mlops_assets.project import open_project
from mlops_assets.settings import PREFIX, Settings, read_settings
from mlops_assets_tests.documents import PAGES, ROOT, blocks, commands, dead_links, links

DOCS = ROOT / "docs"
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
OURS = {
    f"{name} {part}".strip(): one
    for name, command in get_command(app).commands.items()
    for part, one in getattr(command, "commands", {"": command}).items()
}
LARGEST_IMAGE = 300_000


@pytest.fixture(scope="module")
def generator():
    """docs/generate.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# In step with the code


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_as_the_generator_writes_them(generator, page):
    assert generator.rendered(TEXTS[page]) == TEXTS[page], "run python docs/generate.py"


def test_each_generated_part_stands_on_a_page(generator):
    everything = "\n".join(TEXTS.values())
    assert [name for name in generator.PARTS if f"<!-- generated: {name} -->" not in everything] == []


def test_every_setting_is_documented():
    text = TEXTS[DOCS / "settings.md"]
    assert [name for name in Settings.model_fields if f"`{PREFIX}{name.upper()}`" not in text] == []


def test_env_example_is_in_step_and_changes_nothing(generator, tmp_path):
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert text == generator.env_example(), "run python docs/generate.py"
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]
    (tmp_path / ".env").write_text(re.sub(rf"^#({PREFIX})", r"\1", text, flags=re.MULTILINE))
    given = dotenv_values(tmp_path / ".env")
    assert set(given) == {PREFIX + name.upper() for name in Settings.model_fields}
    assert read_settings(given) == Settings()


def test_every_key_of_a_dataset_is_documented():
    text = TEXTS[DOCS / "dataset-yaml.md"]
    names = {field.alias or name for part in Part.__subclasses__() for name, field in part.model_fields.items()}
    names |= {*DERIVATIONS, *CALENDAR_PARTS}
    assert sorted(name for name in names if f"| `{name}` |" not in text) == []


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_documented_with_its_options(name):
    section = TEXTS[DOCS / "cli.md"].partition(f"### `mlops-assets {name}`\n")[2].partition("\n#")[0]
    assert OURS[name].help in section
    assert [option for item in OURS[name].params for option in item.opts if option.upper() not in section.upper()] == []


def test_every_target_of_make_is_documented():
    targets = re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = TEXTS[DOCS / "cli.md"]
    assert [target for target in targets if target != "help" and f"| `make {target}` |" not in text] == []


def test_the_house_has_every_part_of_the_package():
    text = TEXTS[DOCS / "architecture.md"]
    parts = {path.name for path in (ROOT / "mlops_assets").iterdir() if not path.name.startswith(("__", "."))}
    shown = {part for part in parts if re.search(rf"^  {re.escape(part)}(/| )", text, re.MULTILINE)}
    assert {part for part in parts - shown if not re.fullmatch(r"dataset\w*\.py|datasets", part)} == set()


def test_messages_in_troubleshooting_are_those_of_the_code():
    sources = [*sorted((ROOT / "mlops_assets").rglob("*.py")), ROOT / "scripts" / "install.sh"]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    messages = re.findall(r"^\| `([^`]+)`[^|]*\|", TEXTS[DOCS / "troubleshooting.md"], re.MULTILINE)
    parts = [part.strip() for message in messages for part in message.split("...") if part.strip(" ,")]
    assert len(parts) > 5
    assert [part for part in parts if part not in code] == []


# Links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    assert dead_links(page) == []


def test_every_page_is_linked_from_the_readme():
    linked = {(ROOT / link).resolve() for link in links(TEXTS[ROOT / "README.md"])}
    assert {page for page in PAGES if page.parent == DOCS} <= linked


def test_the_strip_of_the_readme_is_made_of_the_pictures_of_the_docs():
    from docs.screenshots import BETWEEN, STRIP_HEIGHT, STRIP_WIDTH, strip

    made = strip()
    assert made.size == (3 * STRIP_WIDTH + 2 * BETWEEN, STRIP_HEIGHT)
    assert "docs/images/strip.png" in TEXTS[ROOT / "README.md"]


def test_images_are_small_and_shown():
    images = sorted((DOCS / "images").iterdir())
    shown = {(page.parent / link).resolve() for page, text in TEXTS.items() for link in links(text)}
    assert images
    assert [image.name for image in images if image.stat().st_size > LARGEST_IMAGE] == []
    assert [image.name for image in images if image not in shown] == []


def test_no_path_of_one_machine_is_written_down():
    files = [*PAGES, *DOCS.glob("*.py"), ROOT / ".env.example", ROOT / "Makefile"]
    found = [path.name for path in files if re.search(r"(?<![\w.])/(home|root|work|tmp|Users|opt)/", path.read_text())]
    assert found == []


# Examples


@pytest.fixture
def spaces(tmp_path, my_models):
    """The search spaces of the page in a file, and its class trusted."""
    my_models("Mine")
    path = tmp_path / "spaces.yaml"
    path.write_text("\n".join(blocks(DOCS / "models.md", "yaml")))
    return path


def test_search_spaces_of_the_page_can_be_used(spaces):
    found = load_search_spaces(spaces)
    free = {name: resolve_model_type(name, found).space.free for name in found}
    assert free == {"SGDRegressor": ("alpha", "average"), "Ridge": ("alpha",), "Mine": ("neighbors",)}


def test_the_class_of_the_page_is_fitted_and_kept(spaces):
    model_type = resolve_model_type("Mine", load_search_spaces(spaces))
    X = np.random.default_rng(7).random((80, 3)).astype(np.float32)
    estimator = fit(model_type, {"neighbors": 5}, FitData(X, X.sum(axis=1)), seed=7, threads=1).estimator
    again = parse_estimator(dump_estimator(estimator))
    assert np.array_equal(predict(again, X), predict(estimator, X))


def test_model_types_of_the_pages_can_be_used(spaces):
    for command in commands():
        given = command.variables | {"MLOPS_DATASET": "nyc_flights", "MLOPS_SOURCE_URI": ""}
        if "MLOPS_SEARCH_SPACES" in given:
            given["MLOPS_SEARCH_SPACES"] = str(spaces)
        assert open_project(given).model_types


def test_datasets_of_the_page_are_right(tmp_path):
    for text in blocks(DOCS / "own-data.md", "yaml"):
        path = tmp_path / "own.yaml"
        path.write_text(text)
        hidden = {name: f"hidden_{name}" for name in re.findall(r"\$\{(\w+)\}", text)}
        assert load_dataset(str(path), hidden).name == yaml.safe_load(text)["name"]
