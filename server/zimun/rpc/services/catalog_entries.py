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
from zimun.rpc.request_context import Backend, Context, change_request, question_of

MAX_PAGES = 16
"""Pages of lists that are kept of a catalogue."""

MAX_KEPT_PAGE = 1 << 16
"""Bytes of a page that is kept."""

_PAGES: WeakKeyDictionary[Catalog, dict[object, bytes]] = WeakKeyDictionary()

E = TypeVar("E", bound=CatalogEntry)
M = TypeVar("M", bound=Message)


class CatalogEntries(Generic[E]):
    """The five methods of one kind of entry."""

    def __init__(self, backend: Backend, kind: Kind[E]) -> None:
        self._reader, self._writer, self._pages = backend.reader, backend.writer, backend.pages
        self._kind = kind

    async def list(self, request: Any, answer: type[M]) -> bytes:
        """A page's bytes; those of the same request are kept while the catalogue is the same."""
        known = await self._reader.catalog(caller().org_id)
        kept, asked = _PAGES.setdefault(known, {}), request.SerializeToString()
        key = (self._kind.entry, asked)
        if key not in kept:
            page = (await self._page(known, request, answer)).SerializeToString()
            if len(page) > MAX_KEPT_PAGE:
                return page
            if len(kept) >= MAX_PAGES:
                kept.clear()
            kept[key] = page
        return kept[key]

    async def _page(self, known: Catalog, request: Any, answer: type[M]) -> M:
        size, question = page_size(request.page_size), question_of(request)
        after = self._pages.read(request.page_token, question)
        found, next_key = catalog.list_entries(
            known, self._kind.entry, request.include_archived, size, after
        )
        page = await write_page(found, next_key, self._kind.write, catalog.key_of)
        return answer(items=page.items, next_page_token=self._pages.write(page.next_key, question))

    async def get(self, entry_id: str) -> Any:
        found = await catalog.get_entry(self._reader, caller(), self._kind.entry, entry_id)
        return self._kind.write(found)

    async def create(self, request: Message, sent: Any, context: Context) -> bytes:
        change = change_request(request, self._kind.write)
        command = CreateEntry(self._kind.entry, self._kind.said(sent))
        return await self._writer.submit(change, command)

    async def update(self, request: Any, sent: Any, context: Context) -> bytes:
        if not sent.id:
            raise InvalidRequest({"id": "is required"})
        change = change_request(request, self._kind.write)
        edit = self._kind.edit(sent, request.update_mask)
        command = UpdateEntry(self._kind.entry, sent.id, sent.etag, edit)
        return await self._writer.submit(change, command)

    async def archive(self, request: Any, entry_id: str, context: Context) -> bytes:
        change = change_request(request, self._kind.write)
        command = ArchiveEntry(self._kind.entry, entry_id, request.etag)
        return await self._writer.submit(change, command)
