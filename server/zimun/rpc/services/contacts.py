"""zimun.v1.ContactsService."""

from zimun.booking import contacts
from zimun.rpc.convert import contacts as convert
from zimun.rpc.dispatch import caller
from zimun.rpc.page_tokens import write_page
from zimun.rpc.request_context import Context, Dependencies
from zimun.v1 import contacts_service_pb2, contacts_service_pb2_grpc


class ContactsServicer(contacts_service_pb2_grpc.ContactsServiceServicer):
    """The methods of zimun.v1.ContactsService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._dependencies, self._pages = dependencies, dependencies.pages
        self._store, self._reader = dependencies.store, dependencies.reader

    async def ExportContact(
        self, request: contacts_service_pb2.ExportContactRequest, context: Context
    ) -> contacts_service_pb2.ExportContactResponse:
        """Return a page of what is kept of a contact."""
        size, query, after = self._dependencies.page_request(request)
        histories, next_key = await contacts.export_contact(
            self._store, caller(), request.contact_email, size, after
        )
        page = await write_page(
            histories, next_key, convert.contact_appointment, contacts.history_key_of
        )
        return contacts_service_pb2.ExportContactResponse(
            items=page.items, next_page_token=self._pages.write(page.next_key, query)
        )

    async def EraseContact(
        self, request: contacts_service_pb2.EraseContactRequest, context: Context
    ) -> contacts_service_pb2.EraseContactResponse:
        """Erase a contact from all that is kept."""
        is_complete = await contacts.erase_contact(
            self._store,
            self._reader,
            caller(),
            request.contact_email,
            request.include_upcoming,
            convert.shown_contact,
        )
        return contacts_service_pb2.EraseContactResponse(incomplete=not is_complete)
