"""How the service is run: limits, and what its processes tell each other about them."""

from dataclasses import dataclass

from keras_bld.base import checks


@dataclass(frozen=True)
class ServiceSettings:
    """Limits of the service.

    Args:
        max_count: most images of a request.
        max_steps: most denoising steps of a request; None: the T of the preset.
        max_image_bytes: most bytes of a picture that is sent.
        max_image_pixels: most pixels of such a picture, seen before memory is taken for them.
        max_queue: most images that wait or are being made; more are answered with 429.
        max_batch: most rows of one run of the denoiser.
        timeout: seconds that a request may take.
        precision: "bfloat16" (float32 where the processor has none) or "float32".
        threads: of OpenVINO; 0 takes one for each core.

    Raises:
        ValueError: a limit out of range, or a queue that one request overfills.
    """

    max_count: int = 16
    max_steps: int | None = None
    max_image_bytes: int = 2**21
    max_image_pixels: int = 2**22
    max_queue: int = 128
    max_batch: int = 16
    timeout: float = 60.0
    precision: str = "bfloat16"
    threads: int = 0

    def __post_init__(self):
        for name, minimum in (
            ("max_count", 1),
            ("max_image_bytes", 1024),
            ("max_image_pixels", 1),
            ("max_queue", self.max_count),
            ("max_batch", 2),
            ("threads", 0),
        ):
            checks.check_integer(name, getattr(self, name), minimum)
        if self.max_steps is not None:
            checks.check_integer("max_steps", self.max_steps, 1)
        checks.check_number("timeout", self.timeout, 0.0, exclusive=True)

    @property
    def max_body_bytes(self):
        """Most bytes of a request's body: all its pictures in base64, and some words."""
        return 64 * 1024 + (self.max_count + 1) * (self.max_image_bytes * 4 // 3 + 8)
