"""One run over objects as data lakes hold them: how many documents and letters each gives, and the exit code."""

import json
import threading
from collections import Counter

from penstock.pipelines.jobs import s3_to_elasticsearch
from penstock.pipelines.run import batch as batch_job
from tests.tools.peers.fake_http import fake_http
from tests.tools.samples.corpus import CORPUS, HIDDEN
from tests.unit.s3.conftest import BUCKET


class Cluster:
    """Takes every document, and counts them by the object that they are from."""

    def __init__(self):
        self.documents = Counter()
        self.ids = set()
        self._lock = threading.Lock()

    def answer(self, request):
        if request.path.startswith("/_bulk"):
            actions = [json.loads(line) for line in request.body.splitlines()[::2]]
            targets = [action[kind] for action in actions for kind in action]
            with self._lock:
                self.documents.update(target["_index"] for target in targets)
                self.ids.update(target["_id"] for target in targets)
            items = [{"create": {"status": 201}} for _ in targets]
            return 200, json.dumps({"errors": False, "took": 1, "items": items}).encode()
        if request.path == "/":
            return 200, b'{"version":{"number":"9.1.2"}}'
        return 200, b'{"has_all_requested":true}'


def test_a_corpus_of_real_shapes_in_one_run(s3, tmp_path, monkeypatch, capsys):
    assert len(CORPUS) >= 60
    monkeypatch.setattr(batch_job, "set_up_logging", lambda level: None)
    for key, content in {**{key: entry[0] for key, entry in CORPUS.items()}, **HIDDEN}.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)
    cluster = Cluster()
    with fake_http(cluster.answer) as elasticsearch:
        code = s3_to_elasticsearch.JOB.main(
            [
                *("--input", f"s3://{BUCKET}/", "--region", "us-east-1", "--hosts", elasticsearch.url),
                *("--include_object_properties", "--index", "%{[@metadata][s3][key]}"),
                *("--dead_letters", f"file://{tmp_path}/letters"),
            ]
        )
    letters = Counter()
    for line in (tmp_path / "letters").read_text().splitlines():
        letter = json.loads(line)
        assert letter["origin"]["bucket"] == BUCKET
        assert letter["reason"]
        letters[letter["origin"]["key"], letter["error"]] += 1
    seen = {
        key: (cluster.documents[key], {e: n for (k, e), n in letters.items() if k == key}) for key in CORPUS
    }
    assert seen == {key: entry[1:] for key, entry in CORPUS.items()}
    assert not [key for key in HIDDEN if cluster.documents[key]]
    assert len(cluster.ids) == sum(cluster.documents.values()), "each event has an id of its own"
    assert code == 1, "some were refused"
    _, err = capsys.readouterr()
    assert "some events were refused: exit code 1" in err
