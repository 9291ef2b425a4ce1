"""An asset is made once for each recipe, and a failure is told in its own words."""

import traceback
from datetime import UTC, datetime
from types import SimpleNamespace

import dagster as dg
import pytest

from mlops_assets.assets.entry import RETRY
from mlops_assets.assets.memo import INTERRUPTED, Made, begin, clear_failures
from mlops_assets.assets.records import CONTENT, RECIPE, Records
from mlops_assets.core.fingerprint import Recipe
from mlops_assets.errors import DataError, SourceError, SourceUnreachable, StorageError, TrackingError
from mlops_assets.facts import RECORD
from mlops_assets.resources.artefacts.local import Storage

PROJECT = SimpleNamespace(spec=SimpleNamespace(redact=lambda text: text.replace("secret", "${NAME}")))


def failure_after(error):
    with pytest.raises(dg.Failure) as caught, clear_failures(PROJECT):
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (SourceUnreachable("no answer"), True),
        (TrackingError("no answer"), True),
        (SourceError("no answer"), False),
        (DataError("no answer"), False),
        (StorageError("no answer"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error, again):
    failure = failure_after(error)
    assert failure.description == "no answer"
    assert failure.allow_retries is again


def test_an_unexpected_error_tells_its_kind_and_keeps_its_traceback():
    failure = failure_after(ZeroDivisionError("division of secret by zero"))
    assert failure.description == "ZeroDivisionError: division of ${NAME} by zero"
    assert failure.allow_retries is False
    told = "".join(traceback.format_exception(failure))
    assert "in failure_after" in told
    assert "secret" not in told


@pytest.mark.parametrize("error", [KeyboardInterrupt(), dg.DagsterExecutionInterruptedError()])
def test_an_interrupted_step_is_not_tried_again(error):
    failure = failure_after(error)
    assert (failure.description, failure.allow_retries) == (INTERRUPTED, False)


def test_retries_are_few_and_wait_longer_each_time():
    waits = [RETRY.calculate_delay(attempt) for attempt in (1, 2)]
    assert RETRY.max_retries == 2
    assert all(0 <= wait <= 30 for wait in waits)


@pytest.fixture
def make(tmp_path):
    """A function that makes the asset `note` of a recipe, which stores a text; tells what was computed."""
    settings = SimpleNamespace(pages_url="http://127.0.0.1:8000", tracking="", tracking_place="")
    project = SimpleNamespace(storage=Storage(tmp_path), settings=settings)
    computed = []

    with dg.DagsterInstance.ephemeral() as instance:

        def make(parts, text="hello"):
            @dg.asset
            def note(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
                records = Records(context.instance)
                making = begin(context, project, records, Recipe(parts))
                if making.unchanged:
                    return making.again()
                computed.append(text)

                def write(folder):
                    (folder / "text").write_text(text)

                stored = project.storage.write_folder("note", "note", write)
                return making.done(Made(stored.digest, stored.path, {"length": len(text)}))

            dg.materialize([note], instance=instance)
            return Records(instance).latest("note")

        make.computed, make.folder, make.instance = computed, tmp_path / "note", instance
        yield make


def test_what_was_never_made_is_made_and_recorded(make):
    record = make({"settings": {"seed": 7}})
    assert record.value("reason") == "never made"
    assert record.value("recomputed") is True
    assert record.value("length") == 5
    assert record.recipe == Recipe({"settings": {"seed": 7}})
    assert (make.folder.parent / record.path / "text").read_text() == "hello"


def test_an_equal_recipe_computes_nothing_and_says_so(make):
    first = make({"settings": {"seed": 7}})
    again = make({"settings": {"seed": 7}}, "another text")
    assert make.computed == ["hello"]
    assert (again.content, again.path, again.value("length")) == (first.content, first.path, 5)
    assert again.value("recomputed") is False
    assert again.value("reason").startswith(f"nothing changed since {datetime.now(UTC):%Y-}")


def test_another_recipe_is_made_and_the_reason_told(make):
    make({"settings": {"seed": 7}})
    record = make({"settings": {"seed": 8}}, "other")
    assert make.computed == ["hello", "other"]
    assert record.value("reason") == "settings: seed 7 -> 8"


def test_an_artefact_that_is_gone_is_made_again(make):
    record = make({})
    (make.folder.parent / record.path / "text").unlink()
    (make.folder.parent / record.path).rmdir()
    assert make({}).value("reason") == f"{record.path} is gone"


def test_the_artefact_before_is_kept_and_older_ones_are_removed(make):
    """What runs beside, such as a search on the training set before, can still read it."""
    paths = [make({"number": number}, str(number)).path for number in range(3)]
    assert {f"note/{item.name}" for item in make.folder.iterdir()} == set(paths[1:])


def test_the_content_is_dagsters_data_version(make):
    record = make({})
    (event,) = make.instance.fetch_materializations(dg.AssetKey("note"), limit=1).records
    assert event.asset_materialization.tags["dagster/data_version"] == record.content
    metadata = event.asset_materialization.metadata
    assert {RECIPE, CONTENT} <= set(metadata[RECORD].value), "what programs read is in one entry"
    assert not {RECIPE, CONTENT} & set(metadata)
