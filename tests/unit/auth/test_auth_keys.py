"""The key directory: first start, file modes, rotation, several processes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from joserfc.jwk import ECKey, RSAKey

from zimun.auth.keys import LONGEST_LIFETIME, MARGIN, PROPAGATION, KeyStore, KeyStoreError
from zimun.domain.errors import Overloaded

from .fakes import MovableTime

START = "import sys; from pathlib import Path; from zimun.auth.keys import KeyStore; "


def files(directory: Path) -> list[Path]:
    return sorted(directory.iterdir())


def kids(keys: KeyStore) -> list[str]:
    return [key["kid"] for key in keys.jwks()["keys"]]


def test_first_start_makes_one_private_key_that_only_its_owner_reads(directory: Path) -> None:
    keys = KeyStore(directory)
    (file,) = files(directory)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.name.endswith(f"-{keys.signing_key().kid}.pem")
    assert b"BEGIN PRIVATE KEY" in file.read_bytes()


def test_the_next_start_finds_the_same_key(directory: Path) -> None:
    assert KeyStore(directory).signing_key().kid == KeyStore(directory).signing_key().kid


def test_kid_is_the_rfc_7638_thumbprint_and_nothing_private_is_published(keys: KeyStore) -> None:
    (published,) = keys.jwks()["keys"]
    assert set(published) == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert (published["alg"], published["use"], published["crv"]) == ("ES256", "sig", "P-256")
    assert published["kid"] == ECKey.import_key(published).thumbprint()
    assert json.dumps(keys.jwks())


def test_processes_that_start_at_once_agree_on_one_key(directory: Path) -> None:
    code = START + "print(KeyStore(Path(sys.argv[1])).signing_key().kid)"
    command = [sys.executable, "-c", code, str(directory)]
    starting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = {process.communicate(timeout=60)[0] for process in starting}
    assert len(answers) == 1
    assert len(files(directory)) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_key_open_to_others_is_refused_by_name(directory: Path, mode: int) -> None:
    KeyStore(directory)
    (file,) = files(directory)
    file.chmod(mode)
    with pytest.raises(KeyStoreError, match=rf"{file.name} has mode {mode:04o}.*expected 0600"):
        KeyStore(directory)


def test_a_directory_in_which_others_could_plant_a_key_is_refused(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o770)
    with pytest.raises(KeyStoreError, match=str(directory)):
        KeyStore(directory)


def _pem(key: ECKey | RSAKey) -> bytes:
    return key.as_pem(private=True)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a key",
        _pem(ECKey.generate_key("P-256")),
        _pem(ECKey.generate_key("P-384")),
        _pem(RSAKey.generate_key(2048)),
    ],
    ids=["empty", "text", "another key", "another curve", "rsa"],
)
def test_a_file_that_is_not_its_key_is_refused_by_name(directory: Path, content: bytes) -> None:
    KeyStore(directory)
    (file,) = files(directory)
    file.write_bytes(content)
    with pytest.raises(KeyStoreError, match=file.name):
        KeyStore(directory)


def test_a_public_key_cannot_sign_and_is_refused(directory: Path) -> None:
    keys = KeyStore(directory)
    files(directory)[0].write_bytes(keys.signing_key().private.as_pem(private=False))
    with pytest.raises(KeyStoreError, match="private key"):
        KeyStore(directory)


def test_a_key_without_its_proper_name_is_refused(directory: Path) -> None:
    KeyStore(directory)
    files(directory)[0].rename(directory / "mine.pem")
    with pytest.raises(KeyStoreError, match=r"mine\.pem is not named"):
        KeyStore(directory)


def test_a_half_written_key_of_a_process_that_died_is_no_key(directory: Path) -> None:
    keys = KeyStore(directory)
    (directory / ".1-half.pem").touch(mode=0o600)
    assert kids(KeyStore(directory)) == kids(keys)


def test_a_rotated_key_is_published_at_once_and_signs_later(
    keys: KeyStore, now: MovableTime
) -> None:
    old = keys.signing_key().kid
    now.advance(1000)
    new = keys.rotate()
    assert kids(keys) == [old, new]
    now.advance(PROPAGATION - 1)
    assert keys.signing_key().kid == old
    now.advance(1)
    assert keys.signing_key().kid == new
    assert kids(keys) == [old, new]


def test_rotation_right_after_the_first_start_keeps_the_first_key_signing(
    keys: KeyStore, now: MovableTime
) -> None:
    first = keys.signing_key().kid
    now.advance(1)
    keys.rotate()
    assert keys.signing_key().kid == first


def test_a_clock_that_was_set_back_does_not_keep_a_new_key_from_signing(
    keys: KeyStore, now: MovableTime
) -> None:
    now.advance(-3600)
    rotated = keys.rotate()
    now.advance(3600 + PROPAGATION + 1)
    assert keys.signing_key().kid == rotated


def test_a_key_is_deleted_only_when_its_last_token_is_gone(
    keys: KeyStore, directory: Path, now: MovableTime
) -> None:
    first = keys.signing_key().kid
    now.advance(1000)
    second = keys.rotate()
    now.advance(PROPAGATION + LONGEST_LIFETIME + MARGIN)
    third = keys.rotate()
    assert kids(keys) == [first, second, third]
    now.advance(1)
    fourth = keys.rotate()
    assert kids(keys) == [second, third, fourth]
    assert len(files(directory)) == 3


def test_a_running_server_takes_up_what_another_process_rotated(
    keys: KeyStore, directory: Path, now: MovableTime
) -> None:
    before = keys.current()
    assert keys.current() is before
    code = START + "print(KeyStore(Path(sys.argv[1])).rotate())"
    command = [sys.executable, "-c", code, str(directory)]
    rotated = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    assert keys.current() is before
    now.advance(1)
    assert set(keys.current()) == {*before, rotated}
    assert keys.current() is keys.current()


async def test_asking_again_looks_at_once(keys: KeyStore, directory: Path) -> None:
    rotated = KeyStore(directory, MovableTime(2_000_000_000)).rotate()
    assert rotated not in keys.current()
    assert rotated in await keys.refreshed()


def test_a_bad_file_while_running_is_logged_once_and_changes_nothing(
    keys: KeyStore, directory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = kids(keys)
    bad = directory / "bad.pem"
    bad.touch(mode=0o600)
    assert kids(keys) == before == kids(keys)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert str(bad) in caplog.text
    bad.unlink()
    assert kids(keys) == before


def test_an_emptied_directory_signs_and_verifies_nothing_until_the_next_rotation(
    keys: KeyStore, directory: Path
) -> None:
    files(directory)[0].unlink()
    with pytest.raises(Overloaded):
        keys.signing_key()
    assert kids(keys) == []
    rotated = keys.rotate()
    assert keys.signing_key().kid == rotated
