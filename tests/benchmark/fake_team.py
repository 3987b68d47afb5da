"""A `Team` whose workers live in this process, so that a test need not start any."""

from keras_bld.benchmark import measure, worker


class FakeWorker:
    """Answers requests at once, as the process behind a `Worker` does."""

    servers = {}

    def __init__(self, path):
        self.path, self.closed = path, False
        cases = self.servers[path]
        self._server = worker.Server(cases() if callable(cases) else cases)

    def ask(self, **request):
        answer = self._server.answer_or_error(request)
        if "error" in answer:
            raise worker.WorkerError(answer["error"])
        return answer

    def close(self):
        self.closed = True


def use(monkeypatch, **servers):
    """Let `Team` use these cases (path -> cases object, or a callable that makes one)."""
    monkeypatch.setattr(FakeWorker, "servers", servers)
    monkeypatch.setattr(measure, "Worker", FakeWorker)
