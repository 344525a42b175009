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
from zimun.domain.catalog.catalog import Catalog
from zimun.domain.errors import InvalidRequest
from zimun.domain.ledger.events import CatalogEntry
from zimun.rpc.convert.catalog import EntryConverter
from zimun.rpc.dispatch import caller
from zimun.rpc.page_tokens import write_page
from zimun.rpc.request_context import Dependencies, typed

MAX_PAGES = 16
"""Pages of lists that are cached of a catalogue."""

MAX_CACHED_PAGE_BYTES = 1 << 16
"""The most bytes of a page that is cached."""

_PAGES: WeakKeyDictionary[Catalog, dict[object, bytes]] = WeakKeyDictionary()

E = TypeVar("E", bound=CatalogEntry)
M = TypeVar("M", bound=Message)
P = TypeVar("P", bound=Message)


class CatalogEntries(Generic[E, M]):
    """The five methods of one type of entry."""

    def __init__(self, dependencies: Dependencies, converter: EntryConverter[E, M]) -> None:
        self._dependencies, self._reader, self._pages = (
            dependencies,
            dependencies.reader,
            dependencies.pages,
        )
        self._converter = converter

    async def list(self, request: Any, response_type: type[P]) -> P:
        """An encoded page, cached by its request while the catalogue is the same."""
        current = await self._reader.catalog(caller().org_id)
        pages, serialized = _PAGES.setdefault(current, {}), request.SerializeToString()
        key = (self._converter.entry, serialized)
        if key not in pages:
            page = (await self._page(current, request, response_type)).SerializeToString()
            if len(page) > MAX_CACHED_PAGE_BYTES:
                return typed(page, response_type)
            if len(pages) >= MAX_PAGES:
                del pages[next(iter(pages))]
            pages[key] = page
        return typed(pages[key], response_type)

    async def _page(self, current: Catalog, request: Any, response_type: type[P]) -> P:
        size, query, after = self._dependencies.page_request(request)
        entries, next_key = catalog.list_entries(
            current, self._converter.entry, request.include_archived, size, after
        )
        page = await write_page(entries, next_key, self._converter.write, catalog.key_of)
        return response_type(
            items=page.items, next_page_token=self._pages.write(page.next_key, query)
        )

    async def get(self, entry_id: str) -> M:
        """An entry by its id, active or archived."""
        entry = await catalog.get_entry(self._reader, caller(), self._converter.entry, entry_id)
        return self._converter.write(entry)

    async def create(self, request: Message, sent: Any) -> M:
        """Create an entry of the fields that are set."""
        command = CreateEntry(self._converter.entry, self._converter.set_fields(sent))
        return await self._dependencies.submit(request, command, self._converter.write)

    async def update(self, request: Any, sent: Any) -> M:
        """Change the fields of an entry that the mask names (AIP-134)."""
        if not sent.id:
            raise InvalidRequest({"id": "is required"})
        edit = self._converter.edit(sent, request.update_mask)
        command = UpdateEntry(self._converter.entry, sent.id, sent.etag, edit)
        return await self._dependencies.submit(request, command, self._converter.write)

    async def archive(self, request: Any, entry_id: str) -> M:
        """Archive an entry: lists and searches exclude it."""
        command = ArchiveEntry(self._converter.entry, entry_id, request.etag)
        return await self._dependencies.submit(request, command, self._converter.write)
