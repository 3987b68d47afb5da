"""The worker: the process that holds the networks and makes the images.

It reads jobs from a socket and answers on it. One thread reads and decodes what comes, one runs the
networks, and one, at the start, compiles them for more rows. The process ends with the socket.
"""

import collections
import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time

import numpy as np
from PIL import Image

from keras_bld.base import checks
from keras_bld.base.images import to_uint8
from keras_bld.base.packing import pack_codes, packed_shape, unpack_codes
from keras_bld.diffusion.inpainting import code_mask, composite
from keras_bld.serving.service.messages import pack, receive
from keras_bld.serving.service.networks import Networks
from keras_bld.serving.service.pictures import PictureReader, png, sheet
from keras_bld.serving.service.program import read_program
from keras_bld.serving.service.sampler import Sample, Sampler
from keras_bld.serving.service.settings import ServiceSettings

_SECONDS_BETWEEN_SIGNS = 1.0  # of life
_MOST_TEXTS = 1024  # whose embeddings are kept


class Job:
    """A request on its way through the worker.

    Attributes:
        header, blobs: the message.
        samples: its `Sample`s, of a job that makes images.
        images, mask: of a job that has pictures, see `PictureReader`.
        codes: of a job to decode.
        made: its images, None where one is not finished.
    """

    def __init__(self, header, blobs):
        self.header = header
        self.blobs = blobs
        self.number = header["number"]
        self.kind = header["kind"]
        self.ends = time.monotonic() + header["seconds"]
        self.samples = []
        self.images = self.mask = self.codes = None
        self.made = []
        self.num_finished = 0
        self.is_dropped = False


class Worker:
    """What the process does.

    Args:
        connection: socket to the HTTP process.
        program: a `Program`.
        settings: `ServiceSettings`.
    """

    def __init__(self, connection, program, settings):
        self._connection = connection
        self._sending = threading.Lock()
        self._description = program.description
        self._pictures = PictureReader(
            program.description["image_shape"], settings.max_image_pixels
        )
        Image.MAX_IMAGE_PIXELS = settings.max_image_pixels
        self._code_shape = tuple(program.description["code_shape"])
        self._networks = Networks(program, settings.max_batch, settings.precision, settings.threads)
        self._sampler = Sampler(program, self._networks)
        self._texts = collections.OrderedDict()
        self._jobs = {}  # number -> Job, of all that are not answered
        self._inbox = collections.deque()
        self._news = threading.Condition()
        self._steps = self._rows = 0
        self._last_sign = 0.0

    def run(self):
        """Serve until the socket is closed."""
        if self._description["text_encoder"]:
            self._embedded("a picture")  # the encoder is loaded before the first request
        self._send({"event": "ready", "precision": self._networks.precision})
        for task in (self._read, self._grow):
            threading.Thread(target=task, daemon=True).start()
        while True:
            self._turn(self._take_news())

    # The threads ---------------------------------------------------------------------------

    def _read(self):
        with self._connection.makefile("rb") as file:
            while (message := receive(file)) is not None:
                header, blobs = message
                if "drop" in header:
                    self._drop(header["drop"])
                else:
                    self._prepare(Job(header, blobs))
        # A network may be running, but nobody waits for what it makes.
        os._exit(0)

    def _grow(self):
        while self._networks.grow():
            pass
        networks = self._networks
        rows = {"rows": networks.most_rows, "refused": networks.refused()}
        self._send({"event": "worker complete", **rows})

    def _take_news(self):
        """The jobs that came; without work, wait for some. Those that nobody waits for are gone."""
        with self._news:
            if not self._inbox and not len(self._sampler):
                self._news.wait(_SECONDS_BETWEEN_SIGNS)
            now = time.monotonic()
            self._jobs = {
                number: job
                for number, job in self._jobs.items()
                if not job.is_dropped and job.ends > now
            }
            came = [job for job in self._inbox if job.number in self._jobs]
            self._inbox.clear()
            there = set(self._jobs)
        self._sampler.drop(lambda job: job.number not in there)
        return came

    def _turn(self, came):
        """One run of each network for what waits for it."""
        self._encode([job for job in came if job.images is not None])
        for job in came:
            self._sampler.add(job.samples)
        finished, rows = self._sampler.step()
        made = [(sample.owner, sample.index, sample.codes) for sample in finished]
        for job in came:
            if job.kind == "decode":
                made += [(job, place, code) for place, code in enumerate(job.codes)]
        self._decode(made)
        self._steps += rows > 0
        self._rows += rows
        if time.monotonic() - self._last_sign > _SECONDS_BETWEEN_SIGNS / 2:
            self._last_sign = time.monotonic()
            self._send({"event": "alive", "steps": self._steps, "rows": self._rows})

    # Jobs ----------------------------------------------------------------------------------

    def _prepare(self, job):
        """Check and decode what a job brings; in the reading thread."""
        try:
            getattr(self, f"_prepare_{job.kind}")(job, job.header)
        except ValueError as error:
            self._send({"number": job.number, "refused": str(error)})
            return
        job.blobs = ()
        with self._news:
            self._jobs[job.number] = job
            self._inbox.append(job)
            self._news.notify()

    def _prepare_generate(self, job, header):
        tokens = self._tokens(header)
        job.samples = [
            self._sample(job, index, tokens[index % len(tokens)])
            for index in range(header["count"])
        ]
        job.made = [None] * len(job.samples)

    def _prepare_inpaint(self, job, header):
        image, job.mask = self._pictures.image_and_mask(*job.blobs)
        job.images = image[None]
        self._prepare_generate(job, header)

    def _prepare_encode(self, job, header):
        job.images = np.stack(
            [self._pictures.image(blob, f"images[{place}]") for place, blob in enumerate(job.blobs)]
        )

    def _prepare_decode(self, job, header):
        shape = packed_shape(self._code_shape)
        packed = [np.frombuffer(blob, "uint8").reshape(shape) for blob in job.blobs]
        job.codes = unpack_codes(np.stack(packed), self._code_shape[-1])
        job.made = [None] * len(job.codes)

    def _sample(self, job, index, token):
        header = job.header
        return Sample(
            seed=header["seed"],
            index=index,
            time_steps=self._sampler.time_grid(header["steps"]),
            temperature=header["temperature"],
            guidance_scale=header["guidance"],
            token=token,
            owner=job,
        )

    def _tokens(self, header):
        """The condition tokens that a job's images take in turn; None is no condition."""
        if header.get("labels"):
            return [self._networks.class_token(label) for label in header["labels"]]
        if header.get("prompts"):
            return [self._networks.text_token(self._embedded(text)) for text in header["prompts"]]
        return [None]

    def _embedded(self, text):
        if text not in self._texts:
            from keras_bld.text.encoders import sentence_encoder

            # By itself: an embedding depends on its text, not on those that came along.
            (self._texts[text],) = sentence_encoder(self._description["text_encoder"])([text])
            if len(self._texts) > _MOST_TEXTS:
                self._texts.popitem(last=False)
        return self._texts[text]

    def _encode(self, jobs):
        if not jobs:
            return
        images = np.concatenate([job.images for job in jobs])
        codes = self._networks.encode(images)
        start = 0
        for job in jobs:
            own = codes[start : start + len(job.images)]
            start += len(job.images)
            if job.kind == "encode":
                self._answer(job, {"codes": [pack_codes(code).tobytes().hex() for code in own]})
            else:
                pixels = job.mask[None, ..., None]
                known = (own[0], 1.0 - code_mask(pixels, self._code_shape)[0])
                for sample in job.samples:
                    sample.known = known

    def _decode(self, made):
        """Images of (job, place, code); the jobs that are complete are answered."""
        if not made:
            return
        images = self._networks.decode(np.stack([code for _, _, code in made]))
        for (job, place, _), image in zip(made, images, strict=True):
            if job.mask is not None:
                image = composite(job.images[0], image, job.mask[..., None])
            job.made[place] = to_uint8(image)
            job.num_finished += 1
            if job.num_finished == len(job.made):
                if job.header["as_sheet"]:
                    self._answer(job, {}, [sheet(job.made)])
                else:
                    self._answer(job, {}, [png(each) for each in job.made])

    def _answer(self, job, fields, blobs=()):
        with self._news:
            self._jobs.pop(job.number, None)
        self._send({"number": job.number, "fields": fields}, blobs)

    def _drop(self, number):
        with self._news:
            if number in self._jobs:
                self._jobs[number].is_dropped = True

    def _send(self, header, blobs=()):
        with self._sending, contextlib.suppress(OSError):
            self._connection.sendall(pack(header, blobs))


def main(descriptor, directory, settings):
    """Run a worker.

    Args:
        descriptor: number of the socket's file.
        directory: of the program.
        settings: `ServiceSettings` as JSON.
    """
    # The HTTP process says when to end, by closing the socket.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    connection = socket.socket(fileno=int(descriptor))
    try:
        worker = Worker(
            connection, read_program(directory), ServiceSettings(**json.loads(settings))
        )
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        connection.sendall(pack({"event": "failed", "reason": checks.reason_of(error)}))
        return
    worker.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
