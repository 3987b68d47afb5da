"""The peer's input pipeline: torch's DataLoader over JPEG files."""

import os
import pathlib

import numpy as np
import torch
from PIL import Image


class _Pictures(torch.utils.data.Dataset):
    def __init__(self, folder, size):
        self.paths, self.size = sorted(pathlib.Path(folder).glob("*.jpg")), size

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        picture = Image.open(self.paths[index]).convert("RGB")
        scale = self.size / min(picture.size)
        if scale != 1.0:
            size = [round(scale * length) for length in picture.size]
            picture = picture.resize(size, Image.Resampling.BICUBIC)
        left, top = ((length - self.size) // 2 for length in picture.size)
        picture = picture.crop((left, top, left + self.size, top + self.size))
        array = np.asarray(picture)
        if np.random.rand() < 0.5:
            array = array[:, ::-1]
        return torch.from_numpy(array.copy())


def loader_batches(folder, image_size, batch_size):
    """Endless shuffled uint8 batches (batch, size, size, 3), one worker process a core."""
    loader = torch.utils.data.DataLoader(
        _Pictures(folder, image_size),
        batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=os.cpu_count() or 1,
        persistent_workers=True,
    )
    while True:
        yield from loader
