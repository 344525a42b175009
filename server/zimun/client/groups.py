"""The methods of each service, declared once for both clients."""

from google.protobuf.empty_pb2 import Empty

from zimun.v1 import (
    appointments_service_pb2 as appointments_pb2,
)
from zimun.v1 import (
    availability_service_pb2 as availability_pb2,
)
from zimun.v1 import (
    contacts_service_pb2 as contacts_pb2,
)
from zimun.v1 import (
    locations_service_pb2 as locations_pb2,
)
from zimun.v1 import (
    organizations_service_pb2 as organizations_pb2,
)
from zimun.v1 import (
    overrides_service_pb2 as overrides_pb2,
)
from zimun.v1 import (
    resources_service_pb2 as resources_pb2,
)
from zimun.v1 import (
    services_service_pb2 as services_pb2,
)
from zimun.v1 import (
    staff_service_pb2 as staff_pb2,
)
from zimun.v1 import (
    time_off_service_pb2 as time_off_pb2,
)
from zimun.v1.appointment_pb2 import Appointment, AppointmentChange
from zimun.v1.hold_pb2 import Hold
from zimun.v1.location_pb2 import Location
from zimun.v1.organization_pb2 import Organization
from zimun.v1.override_pb2 import Override
from zimun.v1.resource_pb2 import Resource
from zimun.v1.service_pb2 import Service
from zimun.v1.staff_member_pb2 import StaffMember
from zimun.v1.time_off_pb2 import TimeOff

from .methods import AsyncGroup, Method, Pages, SyncGroup


class ContactsMethods:
    """Personal data: what is kept of a contact, and its removal."""

    export = Pages(
        "ContactsService/ExportContact",
        contacts_pb2.ExportContactRequest,
        contacts_pb2.ExportContactResponse,
        contacts_pb2.ContactAppointment,
    )
    erase = Method(
        "ContactsService/EraseContact",
        contacts_pb2.EraseContactRequest,
        contacts_pb2.EraseContactResponse,
    )


class ServicesMethods:
    """Services: what can be booked."""

    list = Pages(
        "ServicesService/ListServices",
        services_pb2.ListServicesRequest,
        services_pb2.ListServicesResponse,
        Service,
    )
    get = Method("ServicesService/GetService", services_pb2.GetServiceRequest, Service)
    create = Method("ServicesService/CreateService", services_pb2.CreateServiceRequest, Service)
    update = Method("ServicesService/UpdateService", services_pb2.UpdateServiceRequest, Service)
    archive = Method("ServicesService/ArchiveService", services_pb2.ArchiveServiceRequest, Service)


class StaffMethods:
    """Staff members: who can serve."""

    list = Pages(
        "StaffService/ListStaff",
        staff_pb2.ListStaffRequest,
        staff_pb2.ListStaffResponse,
        StaffMember,
    )
    get = Method("StaffService/GetStaffMember", staff_pb2.GetStaffMemberRequest, StaffMember)
    create = Method(
        "StaffService/CreateStaffMember", staff_pb2.CreateStaffMemberRequest, StaffMember
    )
    update = Method(
        "StaffService/UpdateStaffMember", staff_pb2.UpdateStaffMemberRequest, StaffMember
    )
    archive = Method(
        "StaffService/ArchiveStaffMember", staff_pb2.ArchiveStaffMemberRequest, StaffMember
    )


class ResourcesMethods:
    """Resources: rooms, chairs, devices."""

    list = Pages(
        "ResourcesService/ListResources",
        resources_pb2.ListResourcesRequest,
        resources_pb2.ListResourcesResponse,
        Resource,
    )
    get = Method("ResourcesService/GetResource", resources_pb2.GetResourceRequest, Resource)
    create = Method(
        "ResourcesService/CreateResource", resources_pb2.CreateResourceRequest, Resource
    )
    update = Method(
        "ResourcesService/UpdateResource", resources_pb2.UpdateResourceRequest, Resource
    )
    archive = Method(
        "ResourcesService/ArchiveResource", resources_pb2.ArchiveResourceRequest, Resource
    )


class LocationsMethods:
    """Locations: where services can be booked."""

    list = Pages(
        "LocationsService/ListLocations",
        locations_pb2.ListLocationsRequest,
        locations_pb2.ListLocationsResponse,
        Location,
    )
    get = Method("LocationsService/GetLocation", locations_pb2.GetLocationRequest, Location)
    create = Method(
        "LocationsService/CreateLocation", locations_pb2.CreateLocationRequest, Location
    )
    update = Method(
        "LocationsService/UpdateLocation", locations_pb2.UpdateLocationRequest, Location
    )
    archive = Method(
        "LocationsService/ArchiveLocation", locations_pb2.ArchiveLocationRequest, Location
    )


class OverridesMethods:
    """Overrides: opening hours of single dates instead of the weekly ones."""

    list = Pages(
        "OverridesService/ListOverrides",
        overrides_pb2.ListOverridesRequest,
        overrides_pb2.ListOverridesResponse,
        Override,
    )
    create = Method(
        "OverridesService/CreateOverride", overrides_pb2.CreateOverrideRequest, Override
    )
    delete = Method("OverridesService/DeleteOverride", overrides_pb2.DeleteOverrideRequest, Empty)


class TimeOffMethods:
    """Time in which a staff member, a resource, a location or the organization takes no
    appointments."""

    list = Pages(
        "TimeOffService/ListTimeOff",
        time_off_pb2.ListTimeOffRequest,
        time_off_pb2.ListTimeOffResponse,
        TimeOff,
    )
    get = Method("TimeOffService/GetTimeOff", time_off_pb2.GetTimeOffRequest, TimeOff)
    create = Method("TimeOffService/CreateTimeOff", time_off_pb2.CreateTimeOffRequest, TimeOff)
    update = Method("TimeOffService/UpdateTimeOff", time_off_pb2.UpdateTimeOffRequest, TimeOff)
    delete = Method("TimeOffService/DeleteTimeOff", time_off_pb2.DeleteTimeOffRequest, Empty)


class OrganizationSettingsMethods:
    """The settings of the caller's organization."""

    get = Method(
        "OrganizationsService/GetOrganization",
        organizations_pb2.GetOrganizationRequest,
        Organization,
    )
    update = Method(
        "OrganizationsService/UpdateOrganization",
        organizations_pb2.UpdateOrganizationRequest,
        Organization,
    )


class AvailabilityMethods:
    """Availability: open slots, and the obstacles of a time."""

    get = Method(
        "AvailabilityService/GetAvailability",
        availability_pb2.GetAvailabilityRequest,
        availability_pb2.GetAvailabilityResponse,
    )
    next = Method(
        "AvailabilityService/FindNextAvailable",
        availability_pb2.FindNextAvailableRequest,
        availability_pb2.FindNextAvailableResponse,
    )
    check = Method(
        "AvailabilityService/BatchCheckAvailability",
        availability_pb2.BatchCheckAvailabilityRequest,
        availability_pb2.BatchCheckAvailabilityResponse,
    )
    explain = Method(
        "AvailabilityService/ExplainSlot",
        availability_pb2.ExplainSlotRequest,
        availability_pb2.ExplainSlotResponse,
    )


class AppointmentsMethods:
    """Holds and appointments: holding, confirming, moving, cancelling."""

    list = Pages(
        "AppointmentsService/ListAppointments",
        appointments_pb2.ListAppointmentsRequest,
        appointments_pb2.ListAppointmentsResponse,
        Appointment,
    )
    get = Method(
        "AppointmentsService/GetAppointment", appointments_pb2.GetAppointmentRequest, Appointment
    )
    hold = Method(
        "AppointmentsService/HoldAppointment", appointments_pb2.HoldAppointmentRequest, Hold
    )
    get_hold = Method("AppointmentsService/GetHold", appointments_pb2.GetHoldRequest, Hold)
    list_holds = Pages(
        "AppointmentsService/ListHolds",
        appointments_pb2.ListHoldsRequest,
        appointments_pb2.ListHoldsResponse,
        Hold,
    )
    extend_hold = Method("AppointmentsService/ExtendHold", appointments_pb2.ExtendHoldRequest, Hold)
    release_hold = Method(
        "AppointmentsService/ReleaseHold", appointments_pb2.ReleaseHoldRequest, Hold
    )
    confirm = Method(
        "AppointmentsService/ConfirmAppointment",
        appointments_pb2.ConfirmAppointmentRequest,
        Appointment,
    )
    book = Method(
        "AppointmentsService/BookAppointment",
        appointments_pb2.BookAppointmentRequest,
        Appointment,
    )
    update = Method(
        "AppointmentsService/UpdateAppointment",
        appointments_pb2.UpdateAppointmentRequest,
        Appointment,
    )
    complete = Method(
        "AppointmentsService/CompleteAppointment",
        appointments_pb2.CompleteAppointmentRequest,
        Appointment,
    )
    mark_no_show = Method(
        "AppointmentsService/MarkNoShow", appointments_pb2.MarkNoShowRequest, Appointment
    )
    reopen = Method(
        "AppointmentsService/ReopenAppointment",
        appointments_pb2.ReopenAppointmentRequest,
        Appointment,
    )
    list_changes = Pages(
        "AppointmentsService/ListAppointmentChanges",
        appointments_pb2.ListAppointmentChangesRequest,
        appointments_pb2.ListAppointmentChangesResponse,
        AppointmentChange,
    )
    reschedule = Method(
        "AppointmentsService/RescheduleAppointment",
        appointments_pb2.RescheduleAppointmentRequest,
        Appointment,
    )
    cancel = Method(
        "AppointmentsService/CancelAppointment",
        appointments_pb2.CancelAppointmentRequest,
        Appointment,
    )


class Services(ServicesMethods, SyncGroup):
    __doc__ = ServicesMethods.__doc__


class AsyncServices(ServicesMethods, AsyncGroup):
    __doc__ = ServicesMethods.__doc__


class Staff(StaffMethods, SyncGroup):
    __doc__ = StaffMethods.__doc__


class AsyncStaff(StaffMethods, AsyncGroup):
    __doc__ = StaffMethods.__doc__


class Resources(ResourcesMethods, SyncGroup):
    __doc__ = ResourcesMethods.__doc__


class AsyncResources(ResourcesMethods, AsyncGroup):
    __doc__ = ResourcesMethods.__doc__


class Locations(LocationsMethods, SyncGroup):
    __doc__ = LocationsMethods.__doc__


class AsyncLocations(LocationsMethods, AsyncGroup):
    __doc__ = LocationsMethods.__doc__


class Overrides(OverridesMethods, SyncGroup):
    __doc__ = OverridesMethods.__doc__


class AsyncOverrides(OverridesMethods, AsyncGroup):
    __doc__ = OverridesMethods.__doc__


class ClientTimeOff(TimeOffMethods, SyncGroup):
    __doc__ = TimeOffMethods.__doc__


class AsyncTimeOff(TimeOffMethods, AsyncGroup):
    __doc__ = TimeOffMethods.__doc__


class OrganizationSettings(OrganizationSettingsMethods, SyncGroup):
    __doc__ = OrganizationSettingsMethods.__doc__


class AsyncOrganizationSettings(OrganizationSettingsMethods, AsyncGroup):
    __doc__ = OrganizationSettingsMethods.__doc__


class Availability(AvailabilityMethods, SyncGroup):
    __doc__ = AvailabilityMethods.__doc__


class AsyncAvailability(AvailabilityMethods, AsyncGroup):
    __doc__ = AvailabilityMethods.__doc__


class Appointments(AppointmentsMethods, SyncGroup):
    __doc__ = AppointmentsMethods.__doc__


class AsyncAppointments(AppointmentsMethods, AsyncGroup):
    __doc__ = AppointmentsMethods.__doc__


class Contacts(ContactsMethods, SyncGroup):
    __doc__ = ContactsMethods.__doc__


class AsyncContacts(ContactsMethods, AsyncGroup):
    __doc__ = ContactsMethods.__doc__
