"""`mlflow`: the server that others name as their MLOPS_TRACKING_URI."""

import os
import subprocess
import sys

from mlops_assets_tests.homes import MAIN, ROOT
from mlops_assets_tests.servers import free_port, wait_for


def test_it_serves_the_database_of_the_settings_and_keeps_the_artefacts_of_who_asks(new_home):
    home, port = new_home(), free_port()
    command = [sys.executable, "-c", MAIN, "mlflow", "--port", str(port)]
    server = subprocess.Popen(command, env=os.environ | home.env, cwd=ROOT, stdout=-3, stderr=-3)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/health", server)
        tracking = home.project(MLOPS_TRACKING_URI=address).tracking
        experiment = tracking.client.get_experiment(tracking.experiment_id)
        assert experiment.artifact_location.startswith("mlflow-artifacts:")
        run = tracking.client.create_run(tracking.experiment_id)
        tracking.client.log_text(run.info.run_id, "kept", "note.txt")
        assert [path.read_text() for path in home.folder.rglob("note.txt")] == ["kept"]
    finally:
        server.terminate()
        server.wait()
    assert home.project().tracking.client.get_run(run.info.run_id)


def test_a_server_of_a_server_is_refused(new_home):
    answer = new_home().command("mlflow", MLOPS_TRACKING_URI="http://127.0.0.1:5000")
    assert answer.code == 2 and "MLOPS_TRACKING_URI names a server" in answer.err
