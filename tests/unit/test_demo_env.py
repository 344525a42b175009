"""demo.env: gone from the moment at which a start claims the directory until it is written."""

from pathlib import Path

import pytest

from zimun import demo_env

ADDRESS = {"ZIMUN_BASE_URL": "http://localhost:1", "ZIMUN_CLIENT_SECRET": "zs_1=2"}


def test_file_of_an_earlier_start_is_read_and_removed_at_once(tmp_path: Path) -> None:
    file = tmp_path / "demo.env"
    with demo_env.claim(tmp_path) as env:
        assert env.earlier == {}
        env.write(ADDRESS)
        assert file.stat().st_mode & 0o777 == 0o600
        with pytest.raises(demo_env.DirectoryInUse), demo_env.claim(tmp_path):
            pass
        assert file.exists()
    with demo_env.claim(tmp_path) as env:
        assert not file.exists()
        assert env.earlier == ADDRESS
        env.write(ADDRESS)
        env.remove()
        assert sorted(path.name for path in tmp_path.iterdir()) == ["up.lock"]


def test_variables_of_an_earlier_start_outlast_starts_that_write_none(tmp_path: Path) -> None:
    with demo_env.claim(tmp_path) as env:
        env.write(ADDRESS)
    for _ in range(2):
        with demo_env.claim(tmp_path) as env:
            assert env.earlier == ADDRESS
            kept = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
            assert kept.keys() == {"up.lock", "demo.env.earlier"}
            assert kept["demo.env.earlier"] == 0o600
    with demo_env.claim(tmp_path) as env:
        env.write({**ADDRESS, "ZIMUN_CLIENT_SECRET": "zs_3"})
        assert sorted(path.name for path in tmp_path.iterdir()) == ["demo.env", "up.lock"]
