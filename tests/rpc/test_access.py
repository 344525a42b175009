"""Who may call what: tokens and scopes, read from the contract."""

from typing import Any

import grpc
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from zimun.domain.identity import SCOPES
from zimun.rpc import validation
from zimun.v1 import options_pb2

from ..support.rpc import Zimun, refusal

METHODS = [
    (f"/{service.full_name}/{method.name}", method)
    for service in validation.services()
    for method in service.methods
]


def unary(zimun: Zimun, path: str) -> Any:
    return zimun.channel.unary_unary(path)


@pytest.mark.parametrize(("path", "method"), METHODS)
async def test_no_method_answers_without_a_token(zimun: Zimun, path: str, method: object) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(zimun, path)(b"")
    told = refusal(caught.value)
    assert told.code is grpc.StatusCode.UNAUTHENTICATED
    assert told.reason == "TOKEN_INVALID"
    assert told.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("path", "method"), METHODS)
async def test_every_method_needs_the_scope_it_declares(
    zimun: Zimun, path: str, method: object
) -> None:
    scope = method.GetOptions().Extensions[options_pb2.required_scope]  # type: ignore[attr-defined]
    assert scope in SCOPES
    others = tuple(other for other in SCOPES if other != scope)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(zimun, path)(b"", metadata=zimun.bearer(scopes=others))
    told = refusal(caught.value)
    assert told.code is grpc.StatusCode.PERMISSION_DENIED
    assert (told.reason, told.info.metadata["scope"]) == ("SCOPE_MISSING", scope)


async def test_a_forged_token_is_refused(zimun: Zimun) -> None:
    good = zimun.token()
    read = jwt.decode(good, zimun.issuer.keys.signing_key())
    forged = jwt.encode(read.header, read.claims, ECKey.generate_key("P-256", private=True))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(zimun, METHODS[0][0])(b"", metadata=(("authorization", f"Bearer {forged}"),))
    assert refusal(caught.value).reason == "TOKEN_INVALID"


async def test_a_token_of_an_unknown_organization_is_refused(zimun: Zimun) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await unary(zimun, "/zimun.v1.ServicesService/ListServices")(
            b"", metadata=zimun.bearer(org_id="o_nowhere")
        )
    assert refusal(caught.value).reason == "TOKEN_INVALID"


def test_a_method_without_a_scope_keeps_the_server_from_starting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(validation, "_option", lambda declared, extension: "")
    with pytest.raises(LookupError, match="declares no required_scope"):
        validation.required_scopes()
