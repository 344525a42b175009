"""The methods that every type of catalogue entry has: list, get, create, update, archive."""

from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from google.protobuf.message import Message

from zimun.booking import catalog
from zimun.booking.catalog import (
    ArchiveEntry,
    CreateEntry,
    UpdateEntry,
)
from zimun.domain.catalog import Catalog
from zimun.domain.errors import InvalidRequest
from zimun.domain.events import CatalogEntry
from zimun.rpc.convert.catalog import Kind
from zimun.rpc.dispatch import caller
from zimun.rpc.page_tokens import page_size, write_page
from zimun.rpc.request_context import Backend, question_of, typed

MAX_PAGES = 16
"""Pages of lists that are kept of a catalogue."""

MAX_KEPT_PAGE = 1 << 16
"""Bytes of a page that is kept."""

_PAGES: WeakKeyDictionary[Catalog, dict[object, bytes]] = WeakKeyDictionary()

E = TypeVar("E", bound=CatalogEntry)
M = TypeVar("M", bound=Message)
P = TypeVar("P", bound=Message)


class CatalogEntries(Generic[E, M]):
    """The five methods of one kind of entry."""

    def __init__(self, backend: Backend, kind: Kind[E, M]) -> None:
        self._backend, self._reader, self._pages = backend, backend.reader, backend.pages
        self._kind = kind

    async def list(self, request: Any, answer: type[P]) -> P:
        """An encoded page; those of the same request are kept while the catalogue is the same."""
        known = await self._reader.catalog(caller().org_id)
        kept, asked = _PAGES.setdefault(known, {}), request.SerializeToString()
        key = (self._kind.entry, asked)
        if key not in kept:
            page = (await self._page(known, request, answer)).SerializeToString()
            if len(page) > MAX_KEPT_PAGE:
                return typed(page, answer)
            if len(kept) >= MAX_PAGES:
                kept.clear()
            kept[key] = page
        return typed(kept[key], answer)

    async def _page(self, known: Catalog, request: Any, answer: type[P]) -> P:
        size, question = page_size(request.page_size), question_of(request)
        after = self._pages.read(request.page_token, question)
        found, next_key = catalog.list_entries(
            known, self._kind.entry, request.include_archived, size, after
        )
        page = await write_page(found, next_key, self._kind.write, catalog.key_of)
        return answer(items=page.items, next_page_token=self._pages.write(page.next_key, question))

    async def get(self, entry_id: str) -> M:
        found = await catalog.get_entry(self._reader, caller(), self._kind.entry, entry_id)
        return self._kind.write(found)

    async def create(self, request: Message, sent: Any) -> M:
        command = CreateEntry(self._kind.entry, self._kind.said(sent))
        return await self._backend.submit(request, command, self._kind.write)

    async def update(self, request: Any, sent: Any) -> M:
        if not sent.id:
            raise InvalidRequest({"id": "is required"})
        edit = self._kind.edit(sent, request.update_mask)
        command = UpdateEntry(self._kind.entry, sent.id, sent.etag, edit)
        return await self._backend.submit(request, command, self._kind.write)

    async def archive(self, request: Any, entry_id: str) -> M:
        command = ArchiveEntry(self._kind.entry, entry_id, request.etag)
        return await self._backend.submit(request, command, self._kind.write)
