"""Zip archives that may lie: opened where they claim no more than they hold."""

import contextlib
import io
import zipfile

# Python makes an object of about 500 bytes of each entry, of 46 bytes or more. Room for 80,000
# tensors, far more than a network has.
_LARGEST_DIRECTORY = 8 * 2**20


@contextlib.contextmanager
def open_archive(file, may_compress=False):
    """Yield a `zipfile.ZipFile` for reading, in no more memory and time than the file is long.

    Args:
        file: open binary file.
        may_compress: False refuses members that are compressed, which could be of any size.

    Raises:
        ValueError: more members than any archive of arrays has, compressed ones, or such as claim
            more bytes than there are.
        zipfile.BadZipFile: no archive.
    """
    size = file.seek(0, io.SEEK_END)
    bounded = _BoundedFile(file)
    with zipfile.ZipFile(bounded) as archive:
        bounded.is_open = True
        members = archive.infolist()
        if not may_compress:
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("a compressed archive, which is never written here")
            if sum(member.file_size for member in members) > size:
                raise ValueError("an archive that claims more than the file holds")
        yield archive


class _BoundedFile:
    """A file of which the list of members, read in one piece, may not be long."""

    def __init__(self, file):
        self._file = file
        self.is_open = False

    def read(self, size=-1):
        if self.is_open:
            return self._file.read(size)
        most = _LARGEST_DIRECTORY + 1
        content = self._file.read(most if size < 0 else min(size, most))
        if len(content) > _LARGEST_DIRECTORY:
            raise ValueError(f"a list of members of more than {_LARGEST_DIRECTORY:,} bytes")
        return content

    def __getattr__(self, name):
        return getattr(self._file, name)
