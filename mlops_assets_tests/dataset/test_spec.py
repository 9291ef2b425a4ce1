"""A dataset's YAML: what it may hold, where it is found, and what of the environment stays hidden."""

import pytest

from mlops_assets.dataset import DatasetSpec, FilesSource, load_dataset, shipped_datasets
from mlops_assets.errors import SpecError
from mlops_assets_tests.tiny import put

SECRET_COLUMN, SECRET_URL = "KundenNr_Intern", "postgresql://me:hunter2@db.example/shop"


@pytest.mark.parametrize("name", shipped_datasets())
def test_every_shipped_dataset_loads_and_carries_its_own_name(name):
    spec = load_dataset(name, {})
    assert spec.name == name
    assert spec.description and (spec.target.unit or spec.target.has_classes)
    assert set(spec.inputs()) < set(spec.used_columns())


def test_three_datasets_ship():
    assert shipped_datasets() == ("nyc_flights", "nyc_flights_late", "nyc_green_taxi")


@pytest.mark.parametrize(("keys", "kind"), [({}, "binary"), ({"kind": "number"}, "number")])
def test_a_target_of_booleans_has_two_classes_unless_it_says_otherwise(load, keys, kind):
    def change(document):
        put("columns.price", {"type": "boolean"})(document)
        document["target"] = {"column": "price"} | keys
        document["features"]["group_means"].pop("relative_to")

    assert load(change).target.kind == kind


def test_inputs_are_what_features_are_made_of_in_the_yamls_order():
    assert load_dataset("nyc_flights", {}).inputs() == (
        "departure_at",
        "scheduled_departure",
        "scheduled_arrival",
        "carrier",
        "origin",
        "destination",
        "distance",
    )


def test_a_spec_survives_a_round_trip_through_json(load):
    for spec in (load(), *(load_dataset(name, {}) for name in shipped_datasets())):
        assert DatasetSpec.model_validate_json(spec.model_dump_json()) == spec
        assert DatasetSpec.model_validate(spec.model_dump(mode="json")) == spec


def test_a_column_is_read_by_its_real_name_or_its_alias(load):
    spec = load(put("columns.town", {"from": "Town Name", "type": "text"}))
    assert (spec.source_name("town"), spec.source_name("zone")) == ("Town Name", "zone")


def test_features_know_the_names_they_give(load):
    features = load(put("features.derived", {"log_size": {"function": "log", "of": ["size"]}})).features
    assert features.categories == ("town", "zone")
    assert features.numbers == ("log_size", "size")
    assert features.calendar_names == ("at_hour", "at_weekday")


# --- files


def test_a_dataset_that_is_not_there_is_told_with_those_that_are():
    with pytest.raises(SpecError, match="'nyc_taxis' is not a dataset: use one of nyc_flights, nyc_flights_late"):
        load_dataset("nyc_taxis", {})
    with pytest.raises(SpecError, match="the dataset file nowhere/mine.yaml does not exist"):
        load_dataset("nowhere/mine.yaml", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"a: 1\nb: [1", "(?s)mine.yaml is not valid YAML.*b: \\[1"),  # the line itself is shown
        (b"a: \xff", "mine.yaml cannot be read"),
        (b"- a\n- b\n", "mine.yaml must be a mapping with name, source, columns, target and features"),
        (b"", "mine.yaml must be a mapping"),
    ],
)
def test_a_file_that_is_no_mapping_is_told(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_bytes(text)
    with pytest.raises(SpecError, match=message):
        load_dataset(str(path), {})


def test_the_environment_fills_in_names(load):
    spec = load(put("source.uri", "${FOLDER}/trips_{period}.${KIND}"), {"FOLDER": "/data", "KIND": "csv"})
    assert spec.source == FilesSource(kind="files", uri="/data/trips_{period}.csv")
    assert load(put("window.train_periods", "${PERIODS}"), {"PERIODS": "3"}).window.train_periods == 3


@pytest.mark.parametrize("env", [{}, {"FOLDER": ""}])
def test_a_missing_environment_variable_is_named(problem, env):
    message = problem(put("source.uri", "${FOLDER}/x.csv"), env)
    assert message == "shop.yaml needs the environment variable FOLDER, which is not set"


def test_the_place_of_a_source_can_be_moved(load):
    assert load(source_uri="/elsewhere/{period}.parquet").source.uri == "/elsewhere/{period}.parquet"
    sql = put("source", {"kind": "sql", "url": "sqlite://", "table": "t"})
    assert load(sql, source_uri="sqlite:///x.db").source.url == "sqlite:///x.db"


def test_a_package_cannot_be_moved(problem):
    package = {"kind": "package", "package": "p", "path": "x.csv"}
    message = problem(put("source", package), source_uri="/elsewhere")
    assert message == "MLOPS_SOURCE_URI cannot move shop.yaml: its source is not of kind files, sql or delta"


# --- what came from the environment stays hidden


def hide(document):
    document["source"] = {"kind": "sql", "url": "${SHOP_DB}", "table": "orders"}
    document["columns"]["town"] = {"from": "${TOWN_COLUMN}", "type": "text"}


ENV = {"SHOP_DB": SECRET_URL, "TOWN_COLUMN": SECRET_COLUMN}


def test_values_from_the_environment_are_put_back_as_their_names(load):
    spec = load(hide, ENV)
    assert spec.source_name("town") == SECRET_COLUMN
    told = spec.redact(f"no column {SECRET_COLUMN} at {SECRET_URL}")
    assert told == "no column ${TOWN_COLUMN} at ${SHOP_DB}"


def test_a_value_that_contains_another_is_put_back_whole(load):
    spec = load(hide, ENV | {"TOWN_COLUMN": "hunter2"})
    assert spec.redact(f"{SECRET_URL} hunter2") == "${SHOP_DB} ${TOWN_COLUMN}"


def test_a_moved_place_is_hidden_too(load):
    assert load(source_uri="/secret/place/x.csv").redact("at /secret/place/x.csv") == "at ${MLOPS_SOURCE_URI}"


@pytest.mark.parametrize(
    "place",
    [
        "target.column",
        "source.kind",
        "source.query",
        "columns.town.type",
        "features.categorical",
        "features.group_means.relative_to",
        "time.first",
        "name",
        "window.train_periods",
        "features.calendar.at.parts",
        "features.group_means.keys",
    ],
)
def test_no_message_holds_a_value_from_the_environment(problem, place):
    def change(document):
        hide(document)
        put(place, ["${TOWN_COLUMN}"] if place.endswith(("categorical", "parts")) else "${TOWN_COLUMN}")(document)
        if place.endswith("keys"):
            put(place, [["${TOWN_COLUMN}", "zone"]])(document)

    message = problem(change, ENV)
    assert SECRET_COLUMN not in message and "hunter2" not in message


def test_the_error_carries_no_other_error_that_tells_more(load):
    with pytest.raises(SpecError) as error:
        load(lambda document: (hide(document), put("target.column", "${TOWN_COLUMN}")(document)), ENV)
    assert error.value.__cause__ is None and error.value.__suppress_context__
