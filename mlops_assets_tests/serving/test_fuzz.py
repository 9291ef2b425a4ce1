"""Bodies that nobody would send are answered, or refused with a clear reason, and the server lives on.

`python -m benchmarks.fuzzing` sends as many as one likes.
"""

import random

from mlops_assets_tests.serving.odd_bodies import odd_body

COUNT = 600
PATHS = ("/predict", "/predict", "/predict?explain=true", "/predict/batch")
CODES = {"invalid_json", "repeated_name", "invalid_input", "too_many_rows"}
HEADERS = {"Content-Type": "application/json", "X-API-Key": "fuzz-key-0123456789", "Authorization": "Bearer hush-hush"}


def test_odd_bodies_are_answered_or_refused_with_a_reason_and_no_key_is_logged(served, caplog):
    rng = random.Random(4)
    statuses = set()
    for _ in range(COUNT):
        path, body = rng.choice(PATHS), odd_body(rng, ["zone", "size"])
        answer = served.client.post(path, content=body, headers=HEADERS)
        statuses.add(answer.status_code)
        assert answer.status_code in (200, 400, 413, 422), (path, body, answer.text)
        if answer.status_code != 200:
            error = answer.json()["error"]
            assert error["code"] in CODES and 0 < len(error["message"]) < 500, (path, body, error)
    assert statuses >= {200, 400, 422}
    assert served.client.post("/predict", json={"zone": 3, "size": 42.5}).status_code == 200
    assert "hush-hush" not in caplog.text and "fuzz-key" not in caplog.text
