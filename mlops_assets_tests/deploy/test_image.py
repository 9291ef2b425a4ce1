"""Dockerfile and entry point, without a container engine."""

import re
import subprocess

import pytest

from mlops_assets_tests.documents import ROOT

TEXT = (ROOT / "Dockerfile").read_text(encoding="utf-8")
INSTRUCTIONS = [line.split(maxsplit=1) for line in re.sub(r"\\\n\s*", "", TEXT).splitlines() if line[:1].isalpha()]
BUILD, FINAL = 0, 1


def stage(number):
    """The instructions of a stage."""
    starts = [place for place, (word, _) in enumerate(INSTRUCTIONS) if word == "FROM"] + [None]
    return INSTRUCTIONS[starts[number] : starts[number + 1]]


def values(number, instruction):
    return [rest for word, rest in stage(number) if word == instruction]


def test_the_base_image_is_pinned_in_both_stages():
    assert ["ARG", "PYTHON_IMAGE=python:3.11.13-slim-bookworm"] in INSTRUCTIONS
    assert [rest.split()[0] for word, rest in INSTRUCTIONS if word == "FROM"] == ["${PYTHON_IMAGE}"] * 2


def test_it_does_not_run_as_root():
    users = values(FINAL, "USER")
    assert users and all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)
    words = [word for word, _ in stage(FINAL)]
    assert words.index("USER") < words.index("ENTRYPOINT")


def test_packages_are_the_pinned_ones_without_nvidias_unless_asked_for():
    dependencies, *_, project = values(BUILD, "RUN")
    assert "--constraint constraints.txt" in dependencies
    assert 'if [ -z "$GPU" ]; then set -- "$@" --override scripts/cpu-overrides.txt xgboost-cpu; fi' in dependencies
    assert "--no-deps" in project


def test_bytecode_is_compiled_for_packages_project_and_standard_library():
    assert all("--compile-bytecode" in run for run in values(BUILD, "RUN") if "uv pip install" in run)
    assert "compileall" in values(FINAL, "RUN")[0]


def test_new_code_does_not_install_the_packages_anew():
    words = [f"{word} {rest}" for word, rest in stage(BUILD)]
    install = next(place for place, line in enumerate(words) if "cpu-overrides.txt xgboost-cpu" in line)
    assert all(not line.startswith("COPY mlops_assets") for line in words[:install])


def test_the_tools_of_the_build_stay_behind():
    assert [rest for rest in values(FINAL, "COPY") if "--from" in rest] == ["--from=build /opt/mlops /opt/mlops"]
    assert "uv" not in " ".join(values(FINAL, "RUN")).split()


def test_only_what_it_copies_is_sent_to_the_builder():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = " ".join(rest for word, rest in INSTRUCTIONS if word == "COPY" and "--from" not in rest).split()
    assert "*" in lines
    assert all((ROOT / path).exists() for path in sent)
    assert {path for path in sent if path in copied or f"{path.rpartition('/')[0]}/" in copied} == sent
    assert not any(path in lines for path in ("!.env", "!secrets", "!.git"))


@pytest.fixture
def enter(tmp_path):
    """A function that runs the entry point with a password and a command; gives what the command printed."""
    script = (ROOT / "deploy" / "entrypoint.sh").read_text()
    (tmp_path / "entrypoint.sh").write_text(script.replace("/run/secrets/", f"{tmp_path}/"))

    def run(password, *command):
        (tmp_path / "postgres_password").write_text(password)
        env = {"PGPASSFILE": str(tmp_path / "pgpass"), "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", tmp_path / "entrypoint.sh", *command], env=env, capture_output=True, text=True, check=True
        )
        return done.stdout

    return run


def test_the_password_is_handed_to_libpq_and_shown_to_nobody_else(enter, tmp_path):
    assert enter(r"p:a\ss", "env").count(r"p:a") == 0
    assert (tmp_path / "pgpass").read_text() == r"postgres:*:*:mlops:p\:a\\ss" + "\n"
    assert (tmp_path / "pgpass").stat().st_mode & 0o777 == 0o600


def test_a_new_password_takes_the_place_of_the_old_one(enter, tmp_path):
    enter("old", "true")
    enter("new", "true")
    assert (tmp_path / "pgpass").read_text() == "postgres:*:*:mlops:new\n"


def test_the_command_keeps_its_words_and_takes_the_shells_place(enter):
    assert enter("secret", "sh", "-c", 'echo "$1|$0"', "a b", "c  d") == "c  d|a b\n"
