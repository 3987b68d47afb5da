"""What Prometheus reads of the service."""

import prometheus_client

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST


class Metrics:
    """Counters of one service, in a registry of their own.

    Args:
        supervisor: a `Supervisor`, asked when somebody reads.
    """

    def __init__(self, supervisor):
        self._registry = prometheus_client.CollectorRegistry()
        self._supervisor = supervisor
        options = {"registry": self._registry}
        self._requests = prometheus_client.Counter(
            "keras_bld_requests_total", "Answers by path and status.", ("path", "status"), **options
        )
        self._seconds = prometheus_client.Histogram(
            "keras_bld_request_seconds", "From request to answer.", ("path",), buckets=_SECONDS,
            **options,
        )  # fmt: skip
        self._images = prometheus_client.Counter(
            "keras_bld_images_total", "Images or codes in answers.", **options
        )
        self._gauges = {
            name: prometheus_client.Gauge(f"keras_bld_{name}", words, **options)
            for name, words in (
                ("queued_images", "Images that wait or are being made."),
                ("worker_ready", "1 where the worker can be asked."),
                ("worker_starts", "Workers that were started."),
                ("denoiser_runs", "Runs of the denoiser since the start."),
                ("denoiser_rows", "Rows in them: rows / runs is the mean batch."),
            )
        }

    def count(self, path, status, seconds):
        """An answer has gone out."""
        self._requests.labels(path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def count_images(self, number):
        """So many images or codes are in an answer."""
        self._images.inc(number)

    def text(self):
        """All of it in Prometheus's text format, as bytes."""
        for name, value in (
            ("queued_images", self._supervisor.queued),
            ("worker_ready", self._supervisor.is_ready),
            ("worker_starts", self._supervisor.num_starts),
            ("denoiser_runs", self._supervisor.num_steps),
            ("denoiser_rows", self._supervisor.num_rows),
        ):
            self._gauges[name].set(value)
        return prometheus_client.generate_latest(self._registry)
