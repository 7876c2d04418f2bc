"""When the environment is set up again."""

from local import bootstrap


def test_a_kernel_that_changed_is_built_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    for folder in ("io/kinesis", "transforms"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("pyproject.toml", "setup.py", "io/kinesis/_native_toy.c", "io/kinesis/other.py"):
        (tmp_path / name).write_text("1")
    stamps = [bootstrap.stamp()]
    (tmp_path / "io/kinesis/other.py").write_text("2")
    assert bootstrap.stamp() == stamps[0]
    for name in ("io/kinesis/_native_toy.c", "transforms/_native_toy.h", "setup.py"):
        (tmp_path / name).write_text("2")
        assert bootstrap.stamp() not in stamps
        stamps.append(bootstrap.stamp())
