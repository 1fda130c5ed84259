"""What hub and machines say to each other, under ``/stationmaster/v1``.

Requests are signed as OCI clients sign theirs, with the machine's own key; only a registration is not, it carries a
registration key instead. Unknown fields are ignored on purpose, so that a hub and a station of neighbouring releases
understand each other while a fleet is upgraded one by one. Times are UTC; sizes are bytes.
"""

from stationmaster.model.protocol.balancer import (
    BalancedServer,
    BalancerView,
    ServerState,
)
from stationmaster.model.protocol.instance import (
    Checkin,
    CheckinAnswer,
    InstanceDesired,
    InstanceSource,
    Inventory,
    Job,
    JobReport,
    JobState,
    LogLine,
    Operation,
    Package,
)
from stationmaster.model.protocol.messages import (
    ClientAddress,
    Message,
    Ports,
    Problem,
    SourceFormat,
    Visible,
)
from stationmaster.model.protocol.registration import (
    Facts,
    MachineKind,
    PackageManager,
    RegistrationAnswer,
    RegistrationRequest,
)
from stationmaster.model.protocol.station_orders import (
    CertificateAnswer,
    CertificateRequest,
    Copy,
    HeartbeatAnswer,
    HubAddress,
    Lease,
    MirrorSource,
    Peer,
    StationDesired,
    UpstreamAccess,
    VolumeLease,
)
from stationmaster.model.protocol.station_reports import (
    CertificateReport,
    HeldGeneration,
    MirrorState,
    Notice,
    Readiness,
    SourceReport,
    StationHeartbeat,
    SyncReport,
    VolumeReport,
)
from stationmaster.model.protocol.visible_record import RecordReport, SignedRecord

__all__ = [
    "BalancedServer",
    "BalancerView",
    "CertificateAnswer",
    "CertificateReport",
    "CertificateRequest",
    "Checkin",
    "CheckinAnswer",
    "ClientAddress",
    "Copy",
    "Facts",
    "HeartbeatAnswer",
    "HeldGeneration",
    "HubAddress",
    "InstanceDesired",
    "InstanceSource",
    "Inventory",
    "Job",
    "JobReport",
    "JobState",
    "Lease",
    "LogLine",
    "MachineKind",
    "Message",
    "MirrorSource",
    "MirrorState",
    "Notice",
    "Operation",
    "Package",
    "PackageManager",
    "Peer",
    "Ports",
    "Problem",
    "Readiness",
    "RecordReport",
    "RegistrationAnswer",
    "RegistrationRequest",
    "ServerState",
    "SignedRecord",
    "SourceFormat",
    "SourceReport",
    "StationDesired",
    "StationHeartbeat",
    "SyncReport",
    "UpstreamAccess",
    "Visible",
    "VolumeLease",
    "VolumeReport",
]
