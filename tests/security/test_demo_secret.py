"""Two demos on one store have the same client secret."""

from pathlib import Path

from ..support.program import Zimun, closed_after


def test_two_demos_on_one_store_show_one_secret(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    first, second = (
        Zimun(tmp_path / f"data{number}", ZIMUN_DATABASE_URL=url) for number in range(2)
    )
    with closed_after(first), closed_after(second):
        first.start()
        second.start()
        assert first.credentials == second.credentials
        grant = {"grant_type": "client_credentials"}
        for program in (first, second):
            assert program.ask_token(grant, first.credentials).status_code == 200
        second.stop()
        first.stop()
