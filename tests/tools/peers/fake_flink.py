"""`FakeFlink` answers as a job manager's REST API does, for jobs that a test makes up."""

import http.server
import json
import threading
import urllib.parse


class FakeFlink:
    """A job manager's REST API. `jobs`: id -> name, state, tasks; `asked`: what was changed."""

    def __init__(self):
        self.version, self.slots = "1.19.3", (2, 2)
        self.jobs = {"old": ("toy", "RUNNING", {"running": 1})}
        self.trace = ""
        self.checkpointed_ms, self.metrics = 3000, {}
        self.handed_on = 1
        self.asked = []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = json.dumps(fake.reply(self.path)).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_PATCH(self):
                job = self.path.rpartition("/")[2]
                name, _, tasks = fake.jobs[job]
                fake.jobs[job] = (name, "CANCELED", tasks)
                fake.asked.append(f"cancel {job}")
                self.do_GET()

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                fake.asked.append(f"stop {self.path.split('/')[2]}")
                self.do_GET()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_port}"

    def reply(self, path):
        if path == "/overview":
            free, total = self.slots
            return {
                "flink-version": self.version,
                "slots-available": free,
                "slots-total": total,
                "taskmanagers": 1,
            }
        if path == "/jobs/overview":
            return {
                "jobs": [
                    {
                        "jid": job,
                        "name": name,
                        "state": state,
                        "tasks": {"total": 9, **tasks},
                        "start-time": at,
                        "end-time": 1 if state in ("CANCELED", "FAILED", "FINISHED") else -1,
                    }
                    for at, (job, (name, state, tasks)) in enumerate(self.jobs.items())
                ]
            }
        job = path.split("/")[2].partition("?")[0]
        if path.endswith("/checkpoints"):
            completed = {"latest_ack_timestamp": self.checkpointed_ms} if self.checkpointed_ms else None
            return {"latest": {"completed": completed}}
        if "/subtasks/metrics" in path:
            wanted = path.partition("?get=")[2].partition("&")[0]
            values = self.metrics.items()
            if not wanted:
                return [{"id": name} for name, _ in values]
            names = urllib.parse.unquote(wanted).split(",")
            return [
                {"id": name, "sum": total, "max": most} for name, (total, most) in values if name in names
            ]
        if "exceptions" in path:
            entries = [{"timestamp": 1, "stacktrace": self.trace}] if self.trace else []
            return {"exceptionHistory": {"entries": entries}}
        if path.endswith("/stop"):
            return {"request-id": "r1"}
        if "savepoints" in path:
            return {"status": {"id": "COMPLETED"}, "operation": {"location": "s3://b/savepoint-1"}}
        name, state, tasks = self.jobs[job]
        return {
            "jid": job, "name": name, "state": state, "status-counts": tasks,
            "timestamps": {"RUNNING": 1000}, "vertices": [
                {"id": "v1", "name": "[5]{a.b}", "metrics": {"read-records": self.handed_on, "write-records": 0}}
            ],
        }  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
