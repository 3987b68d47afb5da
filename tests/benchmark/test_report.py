import json

import pytest

from keras_bld.benchmark import report

pytestmark = pytest.mark.once

ROW = {
    "name": "step",
    "seconds": {"keras": 2.0, "peer": 4.0},
    "fastest": "keras",
    "peer_ratio": 2.0,
    "quality": {"openvino": {"psnr_db": 40.0}},
}
NUMBERS = {
    "model": "tiny",
    "processor": "a processor",
    "cores": 2,
    "sections": {"denoise": [ROW], "start": [{"name": "import", "cpu_seconds": 0.04}]},
}


def test_machine_says_what_times_depend_on():
    machine = report.machine()
    assert machine["cores"] >= 1 and machine["processor"]
    assert {"keras", "numpy", "keras_bld"} <= set(machine["versions"])
    json.dumps(machine)


def test_machine_of_a_folder_that_is_not_installed(monkeypatch):
    found = report.importlib.metadata.version

    def version(name):
        if name == "keras_bld":
            raise report.importlib.metadata.PackageNotFoundError(name)
        return found(name)

    monkeypatch.setattr(report.importlib.metadata, "version", version)
    assert report.machine()["versions"]["keras_bld"]


def test_json_goes_to_a_file_or_to_the_output(tmp_path, capsys):
    report.write_json(NUMBERS, tmp_path / "new" / "numbers.json")
    assert json.loads((tmp_path / "new" / "numbers.json").read_text()) == NUMBERS
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["numbers.json"]
    report.write_json(NUMBERS, "-")
    assert json.loads(capsys.readouterr().out) == NUMBERS


def test_tables_hold_every_row(capsys):
    report.print_tables(NUMBERS)
    text = capsys.readouterr().out
    for part in ("step", "2 s", "4 s", "psnr_db 40.0", "import", "0.04"):
        assert part in text


def test_chart_is_a_picture(tmp_path):
    report.save_chart(NUMBERS, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").read_bytes()[1:4] == b"PNG"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_headline_without_the_section():
    assert report.headline({"sections": {"train": [ROW]}}) == {}
